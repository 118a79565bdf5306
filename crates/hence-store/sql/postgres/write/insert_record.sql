-- Records of history, numbered in the order of the arrays. Called by write and erase. $1 written_at, $2 at, $3 kinds, $4 entities, $5
-- timelines, $6 tasks, $7 steps, $8 ad-hoc keys, $9 occurrences, $10 due_at, $11 started_at, $12 fences, $13 attempts, $14 outcomes,
-- $15 reasons.
insert into hence.record (written_at, at, kind, entity, timeline, task, step, key, occurrence, due_at, started_at, fence, attempt,
  outcome, reason)
select $1::bigint, n.at, n.kind, n.entity, n.timeline, n.task, n.step, n.key, n.occurrence, n.due_at, n.started_at, n.fence, n.attempt,
  n.outcome, n.reason
from unnest($2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::bigint[],
  $11::bigint[], $12::bigint[], $13::bigint[], $14::text[], $15::text[]) with ordinality
  as n (at, kind, entity, timeline, task, step, key, occurrence, due_at, started_at, fence, attempt, outcome, reason, place)
order by n.place;
