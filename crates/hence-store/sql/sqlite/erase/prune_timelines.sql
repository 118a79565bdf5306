-- Forgets the timelines of an entity. Called by prune. Index timeline_entity. ?1 entity.
delete from timeline where entity = ?1;
