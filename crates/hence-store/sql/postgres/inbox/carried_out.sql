-- Ends the postponement of entities' wishes. Called by write and erase. Primary key. $1 entities.
delete from hence.postponed where entity = any($1::bigint[]);
