-- Entities whose erasure is due, of all shards or of some. Called by due_erasures. Index entity_erase. $1 now, $2 limit, $3 shards or
-- null.
select e.key from hence.entity e where e.erase_at is not null and e.erase_at <= $1::bigint
  and ($3::smallint[] is null or e.shard = any($3)) order by e.erase_at, e.key limit $2::bigint;
