-- Who the store is, which clock it follows and what that shows. Called by identity and clock. The one row of the table.
select store_id, shards, clock_now, clock_target, hence.clock() from hence.store where id = 1;
