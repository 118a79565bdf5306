-- Whether an attempt is under way and nobody asked to cancel it. Called by attempts_to_stop. Primary key. ?1 id, ?2 fence,
-- ?3 the mark of a cancel that was asked for.
select id from hence_live where id = ?1 and state = 1 and fence = ?2 and flags & ?3 = 0;
