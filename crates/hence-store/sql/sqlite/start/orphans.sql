-- Running tasks that were started under an older lease. Called by orphans. Index hence_live_owned, its running part only. ?1 epoch,
-- ?2 limit.
select l.id, b.timeline, e.key, coalesce(b.key, s.name), b.occurrence, l.due_at, l.wake_at, l.state, l.fence, l.started_at,
  l.attempt, l.takeovers, l.flags, b.created_at, b.reason, b.action
from hence_live l indexed by hence_live_owned cross join hence_body b on b.id = l.id cross join hence_entity e on e.id = l.entity cross join hence_step s on s.id = l.step
where l.state = 1 and l.state > 0 and l.fence < ?1 order by l.due_at, l.id limit ?2;
