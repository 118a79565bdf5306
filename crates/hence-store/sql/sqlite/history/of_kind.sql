-- Records of one rarer kind. Called by history. Index hence_history_kind. ?1 the kind, ?2 to ?3 numbers of records, ?4 kinds as bits,
-- ?5 steps as a JSON list or null, ?6 the entity's written form or null, ?7 limit. For newest first `asc` is replaced by
-- `desc`.
select h.seq, h.written_at, h.at, h.kind, e.key, h.timeline, h.task, coalesce(h.key, s.name), h.occurrence, h.due_at, h.started_at,
  h.fence, h.attempt, h.outcome, h.reason, s.timeline
from hence_history h indexed by hence_history_kind cross join hence_entity e on e.id = h.entity left join hence_step s on s.id = h.step
where h.kind = ?1 and h.kind >= 10
  and h.seq between ?2 and ?3 and (?4 >> h.kind) & 1
  and (?5 is null or h.step in (select value from json_each(?5)))
  and (?6 is null or h.entity = (select id from hence_entity where key = ?6))
order by h.seq asc limit ?7;
