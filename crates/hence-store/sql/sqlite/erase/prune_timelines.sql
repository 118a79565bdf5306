-- Forgets the timelines of an entity. Called by prune. Index hence_timeline_entity. ?1 entity.
delete from hence_timeline where entity = ?1;
