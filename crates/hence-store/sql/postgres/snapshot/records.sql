-- The history of entities. Called by snapshots. Index history_entity. $1 the entities' written forms.
select h.seq, h.written_at, h.at, h.kind, e.key, h.timeline, h.task, coalesce(h.key, s.name), h.occurrence, h.due_at, h.started_at,
  h.fence, h.attempt, h.outcome, h.reason, s.timeline
from hence.entity e join hence.record h on h.entity = e.id left join hence.step s on s.id = h.step
where e.key = any($1::text[]) order by h.seq;
