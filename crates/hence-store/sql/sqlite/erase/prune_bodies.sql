-- Forgets the ended tasks of an entity. Called by prune. Index hence_history_entity, then primary key. ?1 entity.
delete from hence_body where id in (select task from hence_history where entity = ?1 and task is not null);
