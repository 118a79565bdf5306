-- Only postgres: SQLite has one writer. Whether this transaction may fold: one at a time. Called before counter/fold.
select pg_try_advisory_xact_lock(1213088581, 2);
