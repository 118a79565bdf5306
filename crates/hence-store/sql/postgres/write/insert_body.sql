-- Keeps what tasks are made with. Called by write. $1 ids, $2 timelines, $3 steps, $4 ad-hoc keys, $5 occurrences, $6 created_at, $7
-- entities, $8 reasons, $9 actions.
insert into hence.body (id, timeline, step, key, occurrence, created_at, entity, reason, action)
select n.id, n.timeline, n.step, n.key, n.occurrence, n.created_at, n.entity, n.reason, n.action
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::text[])
  as n (id, timeline, step, key, occurrence, created_at, entity, reason, action);
