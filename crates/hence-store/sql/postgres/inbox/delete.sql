-- Takes out wishes that are carried out. Called by write. Primary key. $1 ids.
delete from hence.wish where id = any($1::bigint[]);
