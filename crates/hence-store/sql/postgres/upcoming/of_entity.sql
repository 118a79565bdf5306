-- Upcoming tasks of one entity. Called by upcoming. Index live_entity. $1 the entity's written form, $2 and $3 behind this instant and
-- id, $4 due before, $5 states as bits, $6 steps or null, $7 limit.
select l.id, b.timeline, e.key, coalesce(b.key, s.name), b.occurrence, l.due_at, l.wake_at, l.state, l.fence, l.started_at,
  l.attempt, l.takeovers, l.flags, b.created_at, b.reason, b.action
from hence.live l
  join hence.body b on b.id = l.id join hence.entity e on e.id = l.entity join hence.step s on s.id = l.step
where l.entity = (select o.id from hence.entity o where o.key = $1::text)
  and (l.due_at, l.id) > ($2::bigint, $3::bigint) and l.due_at < $4::bigint
  and ($5::bigint >> l.state::int) & 1 = 1 and ($6::bigint[] is null or l.step = any($6))
order by l.due_at, l.id limit $7::bigint;
