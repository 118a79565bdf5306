-- Sets the clock. Called by set_clock. ?1 now, ?2 target; both null for the machine's.
update hence_store set clock_now = ?1, clock_target = ?2 where id = 1;
