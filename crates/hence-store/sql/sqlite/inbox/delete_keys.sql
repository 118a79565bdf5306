-- Forgets the keys of an entity. Called by erase and prune. Index hence_accepted_key_entity. ?1 entity.
delete from hence_accepted_key where entity = ?1;
