-- All records of a task. Called by task. Index hence_history_task. ?1 id.
select h.seq, h.written_at, h.at, h.kind, e.key, h.timeline, h.task, coalesce(h.key, s.name), h.occurrence, h.due_at, h.started_at,
  h.fence, h.attempt, h.outcome, h.reason, s.timeline
from hence_history h indexed by hence_history_task cross join hence_entity e on e.id = h.entity left join hence_step s on s.id = h.step
where h.task = ?1 order by h.seq;
