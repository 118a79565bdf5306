-- Only postgres: SQLite has no locks by name. Holds the lock under which schemas change, to the end of the transaction. Called by migrate.
select pg_advisory_xact_lock(1213088581, 0);
