-- Only postgres: SQLite has one writer. Waits for up to a twentieth of a second, by chance. Called before a lost race is run again. $1 how
-- often it was lost.
select pg_sleep(random() * 0.05 * least($1::bigint, 10));
