-- What wakes until an instant in the shards of a lease. Called by due_soon. Index live_wake. $1 node, $2 shards, $3 their epochs, $4 and
-- $5 behind this instant and id, $6 until, $7 limit.
with owned as materialized (
  select s.shard, s.epoch from hence.shard s
  where s.node = $1::text and exists (select 1 from unnest($2::smallint[], $3::bigint[]) as n (shard, epoch)
    where n.shard = s.shard and n.epoch = s.epoch))
select l.wake_at, l.id from hence.live l
where not l.is_parked and (l.wake_at, l.id) > ($4::bigint, $5::bigint) and l.wake_at <= $6::bigint
  and l.state = 0 and l.shard in (select o.shard from owned o) order by l.wake_at, l.id limit $7::bigint;
