-- The reasons of an entity's records. Called by erase. Index hence_history_entity. ?1 entity.
select seq, reason from hence_history where entity = ?1;
