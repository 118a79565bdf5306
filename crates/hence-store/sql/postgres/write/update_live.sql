-- Transitions that are not final, as conditional writes. Called by write. Primary key. $1 ids, $2 fences before, $3 states before, $4
-- wake_at, $5 due_at, $6 states, $7 fences, $8 started_at, $9 attempts, $10 takeovers, $11 flags, $12 is_parked.
update hence.live l set wake_at = n.wake_at, due_at = n.due_at, state = n.state, fence = n.fence, started_at = n.started_at,
  attempt = n.attempt, takeovers = n.takeovers, flags = n.flags, is_parked = n.is_parked
from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[], $6::smallint[], $7::bigint[], $8::bigint[],
  $9::bigint[], $10::bigint[], $11::smallint[], $12::boolean[])
  as n (id, fence_before, state_before, wake_at, due_at, state, fence, started_at, attempt, takeovers, flags, is_parked)
where l.id = n.id and l.fence = n.fence_before and l.state = n.state_before;
