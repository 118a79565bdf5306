-- Drops a counter that came to zero. Called by all that write. Primary key. ?1 subject, ?2 hour, ?3 step, ?4 outcome.
delete from hence_counter where subject = ?1 and hour = ?2 and step = ?3 and outcome = ?4 and count = 0;
