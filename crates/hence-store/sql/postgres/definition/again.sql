-- Makes a known definition the current one. Called by put_definition. Primary key. $1 hash, $2 put_seq.
update hence.definition set put_seq = $2::bigint where hash = $1::text;
