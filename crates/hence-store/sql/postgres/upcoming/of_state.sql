-- Upcoming tasks in states that few are in. Called by upcoming. Index live_wake: its parked part, and what has waked for those that run. $1
-- is not used, $2 and $3 behind this instant and id, $4 due before, $5 states as bits, without scheduled, $6 steps or null, $7 limit.
with found as materialized (
  select l.id from hence.live l where l.is_parked and (l.due_at, l.id) > ($2::bigint, $3::bigint) and l.due_at < $4::bigint
    and ($5::bigint >> l.state::int) & 1 = 1 and ($6::bigint[] is null or l.step = any($6))
  union all
  select l.id from hence.live l where not l.is_parked and l.wake_at <= (select hence.clock()) and l.state = 1
    and (l.due_at, l.id) > ($2::bigint, $3::bigint) and l.due_at < $4::bigint
    and ($5::bigint >> l.state::int) & 1 = 1 and ($6::bigint[] is null or l.step = any($6)))
select l.id, b.timeline, e.key, coalesce(b.key, s.name), b.occurrence, l.due_at, l.wake_at, l.state, l.fence, l.started_at,
  l.attempt, l.takeovers, l.flags, b.created_at, b.reason, b.action
from found f join hence.live l on l.id = f.id
  join hence.body b on b.id = l.id join hence.entity e on e.id = l.entity join hence.step s on s.id = l.step
where $1::bigint is null order by l.due_at, l.id limit $7::bigint;
