-- A move brings a new reason and, of an ad-hoc task, a new action. Called by write. Primary key. ?1 id, ?2 reason, ?3 action.
update hence_body set reason = ?2, action = ?3 where id = ?1 and (reason <> ?2 or action is not ?3);
