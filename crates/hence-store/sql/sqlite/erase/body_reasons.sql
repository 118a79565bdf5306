-- The reasons of an entity's tasks. Called by erase. Indexes live_entity and history_entity, then primary key. ?1 entity.
select b.id, b.reason from body b where b.id in (
  select id from live where entity = ?1 union select task from history where entity = ?1 and task is not null);
