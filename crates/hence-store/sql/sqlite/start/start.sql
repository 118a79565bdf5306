-- The start itself, as a conditional write. Called by start. Primary key. ?1 id, ?2 fence, ?3 now.
update hence_live set state = 1, fence = ?2, started_at = ?3, attempt = attempt + 1
where id = ?1 and state = 0 and fence < ?2;
