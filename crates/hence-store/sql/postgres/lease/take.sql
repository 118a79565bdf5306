-- Gives a node the shards that are free and still at the epoch that was seen, in their order. Called by take. Primary key. $1 node, $2
-- shards, $3 their epochs.
with taker as materialized (select n.node from hence.node n where n.node = $1::text for share),
free as materialized (
  select s.shard from hence.shard s
  where s.node is null and exists (select 1 from unnest($2::smallint[], $3::bigint[]) as seen (shard, epoch)
      where seen.shard = s.shard and seen.epoch = s.epoch)
    and exists (select 1 from taker)
  order by s.shard for no key update of s)
update hence.shard s set node = $1, epoch = nextval('hence.fence') from free f where s.shard = f.shard returning s.shard, s.epoch;
