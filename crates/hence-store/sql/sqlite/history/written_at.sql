-- Only sqlite: PostgreSQL leaves out parts of the table.
-- When the first record from a number on was written. Called by history, which halves the range until it has the instant.
-- Primary key. ?1 the number.
select seq, written_at from hence_history where seq >= ?1 order by seq limit 1;
