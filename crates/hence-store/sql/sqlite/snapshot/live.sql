-- The tasks of an entity that are not final. Called by snapshots and erase. Index hence_live_entity. ?1 entity.
select l.id, b.timeline, e.key, coalesce(b.key, s.name), b.occurrence, l.due_at, l.wake_at, l.state, l.fence, l.started_at,
  l.attempt, l.takeovers, l.flags, b.created_at, b.reason, b.action
from hence_live l cross join hence_body b on b.id = l.id cross join hence_entity e on e.id = l.entity cross join hence_step s on s.id = l.step
where l.entity = ?1 order by l.due_at, l.id;
