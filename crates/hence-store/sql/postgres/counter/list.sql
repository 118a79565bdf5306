-- Counters of a span of hours, in spans of so many hours, with the changes that are not folded yet. Called by counts. Primary key. $1
-- subject, $2 from, $3 before (hours), $4 hours in a span, $5 timeline or null, $6 step or null.
with counted as (
  select c.hour, c.step, c.outcome, c.count from hence.counter c
  where c.subject = $1::smallint and c.hour >= $2::bigint and c.hour < $3::bigint
  union all
  select c.hour, c.step, c.outcome, c.added from hence.counter_change c
  where c.subject = $1 and c.hour >= $2 and c.hour < $3)
select c.hour - ((c.hour % $4::bigint) + $4) % $4 as begins, s.timeline, s.name, c.outcome, sum(c.count)::bigint
from counted c join hence.step s on s.id = c.step
where ($5::text is null or s.timeline = $5) and ($6::text is null or s.name = $6)
group by begins, s.timeline, s.name, c.outcome having sum(c.count) <> 0 order by begins, s.timeline, s.name, c.outcome;
