-- Sets the clock. Called by set_clock. $1 now, $2 target; both null for the database's.
update hence.store set clock_now = $1::bigint, clock_target = $2::bigint where id = 1;
