-- When the newest record was written. Called by write, so that time never goes back. Primary key, the last row of each part.
select written_at from hence.record order by seq desc limit 1;
