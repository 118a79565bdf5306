-- Keeps a definition that is not known. Called by put_definition. ?1 hash, ?2 name, ?3 source, ?4 created_at, ?5 put_seq.
insert into hence_definition (hash, name, source, created_at, put_seq) values (?1, ?2, ?3, ?4, ?5);
