-- Who the store is and which clock it follows. Called by identity and clock. The one row of the table.
select store_id, clock_now, clock_target from hence_store where id = 1;
