-- Counters of a span of hours, in spans of so many hours. Called by counts. Primary key. ?1 subject, ?2 from, ?3 before
-- (hours), ?4 hours in a span, ?5 timeline or null, ?6 step or null.
select (c.hour - ((c.hour % ?4) + ?4) % ?4) as begins, s.timeline, s.name, c.outcome, sum(c.count)
from hence_counter c cross join hence_step s on s.id = c.step
where c.subject = ?1 and c.hour >= ?2 and c.hour < ?3 and (?5 is null or s.timeline = ?5) and (?6 is null or s.name = ?6)
group by begins, s.timeline, s.name, c.outcome order by begins, s.timeline, s.name, c.outcome;
