-- Notes that something was written about entities. Called by write and erase. Primary key; indexes live_entity, timeline_entity. $1
-- ids, $2 added to the version, $3 erase_at or null, $4 now.
update hence.entity e set version = e.version + n.added, erase_at = least(e.erase_at, n.erase_at),
  idle_since = case when exists (select 1 from hence.live l where l.entity = e.id)
    or exists (select 1 from hence.run t where t.entity = e.id and t.status = 0) then null else $4::bigint end
from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as n (id, added, erase_at) where e.id = n.id;
