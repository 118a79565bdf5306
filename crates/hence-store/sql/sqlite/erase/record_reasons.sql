-- The reasons of an entity's records. Called by erase. Index history_entity. ?1 entity.
select seq, reason from history where entity = ?1;
