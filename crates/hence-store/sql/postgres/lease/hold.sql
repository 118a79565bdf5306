-- Only postgres: SQLite has one writer. The shards that the lease owns, held against being taken to the end of the transaction. Called by
-- write. Primary key. $1 node, $2 shards, $3 their epochs.
select s.shard from hence.shard s
where s.node = $1::text and exists (select 1 from unnest($2::smallint[], $3::bigint[]) as owned (shard, epoch)
  where owned.shard = s.shard and owned.epoch = s.epoch)
order by s.shard for share;
