-- The wishes about one entity. Called by wishes_of. Index wish_entity. ?1 the entity's written form.
select w.id, e.key, w.at, w.actor, w.body
from entity e cross join wish w on w.entity = e.id where e.key = ?1 order by w.id;
