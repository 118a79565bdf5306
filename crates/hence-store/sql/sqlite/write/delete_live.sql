-- A final transition, as a conditional write. Called by write and erase. Primary key. ?1 id, ?2 fence before, ?3 state before.
delete from hence_live where id = ?1 and fence = ?2 and state = ?3;
