-- The wishes about one entity. Called by wishes_of. Index wish_entity. $1 the entity's written form.
select w.id, e.key, w.at, w.actor, w.body
from hence.entity e join hence.wish w on w.entity = e.id where e.key = $1::text order by w.id;
