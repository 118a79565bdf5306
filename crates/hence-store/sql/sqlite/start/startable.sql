-- Only sqlite: PostgreSQL finds and starts in one statement.
-- Due tasks that are the first of their entity. Called by start. Index hence_live_wake; hence_live_entity and hence_wish_entity for what blocks.
-- ?1 from, ?2 to, ?3 limit, ?4 steps that are left out, a JSON array of timeline/step.
select l.id, b.timeline, e.key, coalesce(b.key, s.name), b.occurrence, l.due_at, l.wake_at, l.state, l.fence, l.started_at,
  l.attempt, l.takeovers, l.flags, b.created_at, b.reason, b.action
from hence_live l indexed by hence_live_wake cross join hence_body b on b.id = l.id cross join hence_entity e on e.id = l.entity cross join hence_step s on s.id = l.step
where l.state = 0 and l.wake_at >= ?1 and l.wake_at <= ?2
  and not exists (select 1 from hence_live o indexed by hence_live_entity where o.entity = l.entity
    and (o.state in (1, 3) or (o.state = 0 and (o.wake_at, o.id) < (l.wake_at, l.id))))
  and not exists (select 1 from hence_wish w where w.entity = l.entity)
  and not exists (select 1 from json_each(?4) where json_each.value = s.timeline || '/' || s.name)
order by l.wake_at, l.id limit ?3;
