-- Forgets keys that were kept long enough. Called by accept. Index hence_accepted_key_accepted. ?1 accepted until then.
delete from hence_accepted_key where accepted_at <= ?1;
