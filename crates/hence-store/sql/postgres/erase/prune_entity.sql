-- Forgets entities that no wish came for meanwhile. Called by prune. Primary key; index wish_entity. $1 entities.
delete from hence.entity e where e.id = any($1::bigint[]) and not exists (select 1 from hence.wish w where w.entity = e.id)
returning e.id;
