-- The oldest wishes that are not postponed, of all shards or of some. Called by wishes. Primary key, in order. $1 limit, $2 shards or
-- null, $3 now.
select w.id, e.key, w.at, w.actor, w.body
from hence.wish w join hence.entity e on e.id = w.entity
where ($2::smallint[] is null or e.shard = any($2))
  and not exists (select 1 from hence.postponed p where p.entity = w.entity and p.try_at > $3::bigint)
order by w.id limit $1::bigint;
