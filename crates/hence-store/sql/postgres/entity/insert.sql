-- Makes the rows of new entities, in the order of their keys; gives those that were not there. Called by accept and write. $1 their
-- written forms, $2 their shards, $3 now.
insert into hence.entity (key, shard, version, idle_since)
select n.key, n.shard, 0, $3::bigint from unnest($1::text[], $2::smallint[]) as n (key, shard)
order by n.key collate "C" on conflict do nothing returning key, id;
