-- The history of an entity. Called by snapshots. Index hence_history_entity. ?1 entity.
select h.seq, h.written_at, h.at, h.kind, e.key, h.timeline, h.task, coalesce(h.key, s.name), h.occurrence, h.due_at, h.started_at,
  h.fence, h.attempt, h.outcome, h.reason, s.timeline
from hence_history h cross join hence_entity e on e.id = h.entity left join hence_step s on s.id = h.step
where h.entity = ?1 order by h.seq;
