-- Keeps a definition that is not known. Called by put_definition. $1 hash, $2 name, $3 source, $4 created_at, $5 put_seq.
insert into hence.definition (hash, name, source, created_at, put_seq) values ($1::text, $2::text, $3::text, $4::bigint, $5::bigint);
