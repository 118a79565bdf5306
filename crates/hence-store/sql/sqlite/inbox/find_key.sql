-- What was accepted under a key. Called by accept. Primary key. ?1 key.
select wish, body_hash from hence_accepted_key where key = ?1;
