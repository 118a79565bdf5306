-- The reasons of an entity's tasks. Called by erase. Indexes hence_live_entity and hence_history_entity, then primary key. ?1 entity.
select b.id, b.reason from hence_body b where b.id in (
  select id from hence_live where entity = ?1 union select task from hence_history where entity = ?1 and task is not null);
