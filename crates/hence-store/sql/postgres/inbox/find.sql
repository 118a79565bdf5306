-- Only postgres: SQLite looks when it deletes. Which wishes are there; holds them. Called by write. Primary key. $1 ids.
select w.id from hence.wish w where w.id = any($1::bigint[]) order by w.id for update;
