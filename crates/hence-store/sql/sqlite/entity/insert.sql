-- Makes the row of a new entity. Called by accept and write. ?1 its written form, ?2 now.
insert into hence_entity (key, version, idle_since) values (?1, 0, ?2);
