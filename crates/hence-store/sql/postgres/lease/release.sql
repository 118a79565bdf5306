-- Gives shards back. Called by release. Primary key. $1 node, $2 shards, $3 their epochs.
update hence.shard s set node = null from unnest($2::smallint[], $3::bigint[]) as owned (shard, epoch)
where s.shard = owned.shard and s.epoch = owned.epoch and s.node = $1::text;
