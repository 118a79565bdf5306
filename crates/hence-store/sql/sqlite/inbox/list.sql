-- The oldest wishes. Called by wishes. Primary key, in order. ?1 limit.
select w.id, e.key, w.at, w.actor, w.body
from wish w cross join entity e on e.id = w.entity order by w.id limit ?1;
