-- The oldest wishes, of all shards or of some. Called by wishes. Primary key, in order. $1 limit, $2 shards or null.
select w.id, e.key, w.at, w.actor, w.body
from hence.wish w join hence.entity e on e.id = w.entity
where $2::smallint[] is null or e.shard = any($2) order by w.id limit $1::bigint;
