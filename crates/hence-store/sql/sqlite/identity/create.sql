-- Names a new store. Called once, after the first migration. ?1 its id.
insert into store (id, store_id) values (1, ?1);
