-- The oldest wishes that are not postponed. Called by wishes. Primary key, in order. ?1 now, ?2 limit.
select w.id, e.key, w.at, w.actor, w.body
from hence_wish w cross join hence_entity e on e.id = w.entity
where not exists (select 1 from hence_postponed p where p.entity = w.entity and p.try_at > ?1)
order by w.id limit ?2;
