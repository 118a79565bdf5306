-- Upcoming tasks of one entity. Called by upcoming. Index hence_live_entity. ?1 the entity's written form, ?2 and ?3 behind this
-- instant and id, ?4 due before, ?5 states as bits, ?6 steps as a JSON list or null, ?7 limit.
select l.id, b.timeline, e.key, coalesce(b.key, s.name), b.occurrence, l.due_at, l.wake_at, l.state, l.fence, l.started_at,
  l.attempt, l.takeovers, l.flags, b.created_at, b.reason, b.action
from hence_live l indexed by hence_live_entity cross join hence_body b on b.id = l.id cross join hence_step s on s.id = l.step cross join hence_entity e on e.id = l.entity
where l.entity = (select id from hence_entity where key = ?1)
  and (l.due_at, l.id) > (?2, ?3) and l.due_at < ?4
  and (?5 >> l.state) & 1 and (?6 is null or l.step in (select value from json_each(?6)))
order by l.due_at, l.id limit ?7;
