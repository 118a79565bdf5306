-- Forgets the history of an entity. Called by prune. Index hence_history_entity. ?1 entity.
delete from hence_history where entity = ?1;
