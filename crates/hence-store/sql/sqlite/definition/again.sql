-- Makes a known definition the current one. Called by put_definition. ?1 hash, ?2 put_seq.
update hence_definition set put_seq = ?2 where hash = ?1;
