-- Entities whose wishes were tried in vain. Called by entities. All of a small table; primary keys. ?1 behind this, ?2 from this on,
-- ?3 before this, ?4 limit.
select e.key, e.version, (select min(l.due_at) from hence_live l where l.entity = e.id), e.erase_at,
  p.since, (select count(*) from hence_wish w where w.entity = e.id), p.tries, p.try_at, p.code, p.message
from hence_postponed p cross join hence_entity e on e.id = p.entity
where e.key > ?1 and e.key >= ?2 and e.key < ?3 order by e.key limit ?4;
