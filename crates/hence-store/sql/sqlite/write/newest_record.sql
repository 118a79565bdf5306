-- When the newest record was written. Called by write, so that time never goes back. Primary key, its last row.
select written_at from hence_history order by seq desc limit 1;
