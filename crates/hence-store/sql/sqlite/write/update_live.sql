-- A transition that is not final, as a conditional write. Called by write. Primary key. ?1 id, ?2 fence before, ?3 state
-- before, ?4 wake_at, ?5 due_at, ?6 state, ?7 fence, ?8 started_at, ?9 attempt, ?10 takeovers, ?11 flags.
update hence_live set wake_at = ?4, due_at = ?5, state = ?6, fence = ?7, started_at = ?8, attempt = ?9, takeovers = ?10, flags = ?11
where id = ?1 and fence = ?2 and state = ?3;
