-- All records of a task. Called by task. Index history_entity. $1 id.
select h.seq, h.written_at, h.at, h.kind, e.key, h.timeline, h.task, coalesce(h.key, s.name), h.occurrence, h.due_at, h.started_at,
  h.fence, h.attempt, h.outcome, h.reason, s.timeline
from hence.record h join hence.entity e on e.id = h.entity left join hence.step s on s.id = h.step
where h.entity = (select o.entity from hence.body o where o.id = $1::bigint) and h.task = $1 order by h.seq;
