-- Replaces the reason of a task and drops its action. Called by erase. Primary key. ?1 id, ?2 reason.
update hence_body set reason = ?2, action = null where id = ?1;
