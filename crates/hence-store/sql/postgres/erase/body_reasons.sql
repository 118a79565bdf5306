-- The reasons of an entity's tasks. Called by erase. Indexes live_entity and history_entity, then primary key. $1 entity.
select b.id, b.reason from hence.body b where b.id = any(array(
  select l.id from hence.live l where l.entity = $1::bigint
  union select h.task from hence.record h where h.entity = $1 and h.task is not null));
