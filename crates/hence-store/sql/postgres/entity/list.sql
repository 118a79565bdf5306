-- Entities by their written form. Called by entities. Unique index on key; index live_entity. $1 behind this, $2 from this on,
-- $3 before this, $4 limit.
select e.key, e.version, (select min(l.due_at) from hence.live l where l.entity = e.id), e.erase_at,
  p.since, (select count(*) from hence.wish w where w.entity = e.id), p.tries, p.try_at, p.code, p.message
from hence.entity e left join hence.postponed p on p.entity = e.id
where e.key > $1::text and e.key >= $2::text and e.key < $3::text order by e.key limit $4::bigint;
