-- Makes tasks wait. Called by write. $1 ids, $2 wake_at, $3 due_at, $4 entities, $5 steps, $6 fences, $7 started_at, $8 attempts, $9
-- takeovers, $10 shards, $11 states, $12 flags, $13 is_parked.
insert into hence.live (id, wake_at, due_at, entity, step, fence, started_at, attempt, takeovers, shard, state, flags, is_parked)
select n.id, n.wake_at, n.due_at, n.entity, n.step, n.fence, n.started_at, n.attempt, n.takeovers, n.shard, n.state, n.flags, n.is_parked
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
  $10::smallint[], $11::smallint[], $12::smallint[], $13::boolean[])
  as n (id, wake_at, due_at, entity, step, fence, started_at, attempt, takeovers, shard, state, flags, is_parked);
