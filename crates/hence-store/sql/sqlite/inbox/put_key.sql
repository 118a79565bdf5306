-- Keeps a key. Called by accept. ?1 key, ?2 wish, ?3 entity, ?4 hash of the body, ?5 accepted_at.
insert into hence_accepted_key (key, wish, entity, body_hash, accepted_at) values (?1, ?2, ?3, ?4, ?5);
