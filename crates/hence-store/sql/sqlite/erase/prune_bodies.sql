-- Forgets the ended tasks of an entity. Called by prune. Index history_entity, then primary key. ?1 entity.
delete from body where id in (select task from history where entity = ?1 and task is not null);
