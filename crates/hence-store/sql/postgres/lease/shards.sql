-- Only postgres: SQLite has one shard. All shards. Called by beat and ownership; the table is small.
select shard, epoch, node from hence.shard order by shard;
