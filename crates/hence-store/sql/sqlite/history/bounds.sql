-- Only sqlite: PostgreSQL leaves out parts of the table.
-- The first and the last number. Called by history for a range of time. Primary key, its ends.
select (select min(seq) from hence_history), (select max(seq) from hence_history);
