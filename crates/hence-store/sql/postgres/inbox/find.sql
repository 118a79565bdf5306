-- Only postgres: SQLite looks when it deletes. Which wishes are there, and whose; holds them. Called by write. Primary key. $1 ids.
select w.id, w.entity from hence.wish w where w.id = any($1::bigint[]) order by w.id for update;
