-- Names a new store. Called once, after the first migration. ?1 its id.
insert into hence_store (id, store_id) values (1, ?1);
