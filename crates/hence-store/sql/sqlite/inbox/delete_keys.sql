-- Forgets the keys of an entity. Called by erase and prune. Index accepted_key_entity. ?1 entity.
delete from accepted_key where entity = ?1;
