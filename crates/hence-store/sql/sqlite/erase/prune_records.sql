-- Forgets the history of an entity. Called by prune. Index history_entity. ?1 entity.
delete from history where entity = ?1;
