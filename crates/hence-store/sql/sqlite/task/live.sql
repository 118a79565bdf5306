-- A task that is not final. Called by task. Primary key. ?1 id.
select l.id, b.timeline, e.key, coalesce(b.key, s.name), b.occurrence, l.due_at, l.wake_at, l.state, l.fence, l.started_at,
  l.attempt, l.takeovers, l.flags, b.created_at, b.reason, b.action
from hence_live l cross join hence_body b on b.id = l.id cross join hence_entity e on e.id = l.entity cross join hence_step s on s.id = l.step
where l.id = ?1;
