-- Forgets the keys of entities. Called by erase and prune. Index accepted_key_entity. $1 entities.
delete from hence.accepted_key where entity = any($1::bigint[]);
