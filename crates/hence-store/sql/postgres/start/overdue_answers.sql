-- Running tasks whose answer should have come. Called by overdue_answers. Index live_wake, its parked part. $1 node, $2 shards, $3
-- their epochs, $4 now, $5 limit.
with owned as materialized (
  select s.shard, s.epoch from hence.shard s
  where s.node = $1::text and exists (select 1 from unnest($2::smallint[], $3::bigint[]) as n (shard, epoch)
    where n.shard = s.shard and n.epoch = s.epoch))
select l.id, b.timeline, e.key, coalesce(b.key, s.name), b.occurrence, l.due_at, l.wake_at, l.state, l.fence, l.started_at,
  l.attempt, l.takeovers, l.flags, b.created_at, b.reason, b.action
from hence.live l
  join hence.body b on b.id = l.id join hence.entity e on e.id = l.entity join hence.step s on s.id = l.step
where l.is_parked and l.wake_at <= $4::bigint and l.state = 3 and l.shard in (select o.shard from owned o)
order by l.wake_at, l.id limit $5::bigint;
