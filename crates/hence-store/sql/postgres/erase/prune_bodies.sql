-- Forgets the ended tasks of entities. Called by prune. Index history_entity, then primary key. $1 entities.
delete from hence.body where id = any(array(
  select h.task from hence.record h where h.entity = any($1::bigint[]) and h.task is not null));
