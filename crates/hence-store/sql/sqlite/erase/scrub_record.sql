-- Replaces the reason of a record. Called by erase. Primary key. ?1 number, ?2 reason.
update hence_history set reason = ?2 where seq = ?1;
