-- Only postgres: SQLite makes them with the store. The shards of a new store. Called once. $1 how many.
insert into hence.shard (shard, epoch) select n.shard, 0 from generate_series(0, $1::bigint - 1) as n (shard);
