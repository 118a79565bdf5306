-- Only postgres: SQLite has no parts of tables. Drops the parts of history that hold nothing any more. Called by prune. $1 before.
select hence.drop_empty_history($1::bigint);
