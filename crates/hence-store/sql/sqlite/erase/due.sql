-- Entities whose erasure is due. Called by due_erasures. Index hence_entity_erase. ?1 now, ?2 limit.
select key from hence_entity indexed by hence_entity_erase where erase_at is not null and erase_at <= ?1 order by erase_at, key limit ?2;
