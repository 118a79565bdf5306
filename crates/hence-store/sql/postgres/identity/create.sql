-- Names a new store. Called once, after the first migration. $1 its id, $2 how many shards.
insert into hence.store (id, store_id, shards) values (1, $1::text, $2::smallint);
