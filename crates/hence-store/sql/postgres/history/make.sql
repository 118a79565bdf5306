-- Only postgres: SQLite has no parts of tables. Makes a part of history unless it is there. Called by write. $1 its number.
select hence.make_history($1::bigint);
