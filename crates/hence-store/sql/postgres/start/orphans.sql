-- Running tasks that were started under an older epoch of their shard. Called by orphans. Index live_wake: whatever runs has waked. $1
-- node, $2 shards, $3 their epochs, $4 limit.
with owned as materialized (
  select s.shard, s.epoch from hence.shard s
  where s.node = $1::text and exists (select 1 from unnest($2::smallint[], $3::bigint[]) as n (shard, epoch)
    where n.shard = s.shard and n.epoch = s.epoch))
select l.id, b.timeline, e.key, coalesce(b.key, s.name), b.occurrence, l.due_at, l.wake_at, l.state, l.fence, l.started_at,
  l.attempt, l.takeovers, l.flags, b.created_at, b.reason, b.action
from hence.live l join owned o on o.shard = l.shard
  join hence.body b on b.id = l.id join hence.entity e on e.id = l.entity join hence.step s on s.id = l.step
where not l.is_parked and l.wake_at <= (select hence.clock()) and l.state = 1 and l.fence < o.epoch
order by l.due_at, l.id limit $4::bigint;
