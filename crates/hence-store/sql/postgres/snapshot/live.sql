-- The tasks of entities that are not final. Called by snapshots and erase. Index live_entity. $1 the entities' written forms.
select l.id, b.timeline, e.key, coalesce(b.key, s.name), b.occurrence, l.due_at, l.wake_at, l.state, l.fence, l.started_at,
  l.attempt, l.takeovers, l.flags, b.created_at, b.reason, b.action
from hence.entity e join hence.live l on l.entity = e.id join hence.body b on b.id = l.id join hence.step s on s.id = l.step
where e.key = any($1::text[]) order by l.due_at, l.id;
