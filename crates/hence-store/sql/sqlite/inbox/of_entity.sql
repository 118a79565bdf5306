-- The wishes about one entity. Called by wishes_of. Index hence_wish_entity. ?1 the entity's written form.
select w.id, e.key, w.at, w.actor, w.body
from hence_entity e cross join hence_wish w on w.entity = e.id where e.key = ?1 order by w.id;
