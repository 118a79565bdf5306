-- Forgets keys that were kept long enough. Called by accept. Index accepted_key_accepted. ?1 accepted until then.
delete from accepted_key where accepted_at <= ?1;
