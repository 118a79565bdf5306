-- Upcoming tasks of steps: a page of each, merged. Called by upcoming. Index live_step. $1 the steps, $2 and $3 behind this instant and
-- id, $4 due before, $5 states as bits, $6 steps or null, $7 limit.
with found as materialized (
  select p.id, p.due_at from unnest($1::bigint[]) as of (step) cross join lateral (
    select l.id, l.due_at from hence.live l where l.step = of.step
      and (l.due_at, l.id) > ($2::bigint, $3::bigint) and l.due_at < $4::bigint
      and ($5::bigint >> l.state::int) & 1 = 1 and ($6::bigint[] is null or l.step = any($6))
    order by l.due_at, l.id limit $7::bigint) p
  order by p.due_at, p.id limit $7)
select l.id, b.timeline, e.key, coalesce(b.key, s.name), b.occurrence, l.due_at, l.wake_at, l.state, l.fence, l.started_at,
  l.attempt, l.takeovers, l.flags, b.created_at, b.reason, b.action
from found f join hence.live l on l.id = f.id
  join hence.body b on b.id = l.id join hence.entity e on e.id = l.entity join hence.step s on s.id = l.step
order by l.due_at, l.id;
