-- Forgets an entity. Called by prune. Primary key. ?1 entity.
delete from hence_entity where id = ?1;
