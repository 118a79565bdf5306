-- Entities whose wishes were tried in vain. Called by entities. All of a small table; primary keys. $1 behind this, $2 from this on,
-- $3 before this, $4 limit.
with p as materialized (select o.entity, o.since, o.tries, o.try_at, o.code, o.message from hence.postponed o)
select e.key, e.version, (select min(l.due_at) from hence.live l where l.entity = e.id), e.erase_at,
  p.since, (select count(*) from hence.wish w where w.entity = e.id), p.tries, p.try_at, p.code, p.message
from p join hence.entity e on e.id = p.entity
where e.key > $1::text and e.key >= $2::text and e.key < $3::text order by e.key limit $4::bigint;
