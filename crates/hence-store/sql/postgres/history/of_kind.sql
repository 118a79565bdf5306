-- Records of one rarer kind. Called by history. Index history_kind. $1 the kind, $2 to $3 numbers of
-- records, $4 kinds as bits, $5 steps or null, $6 the entity's written form or null, $7 limit, $8 written from, $9 written before. For
-- newest first `asc` is replaced by `desc`.
select h.seq, h.written_at, h.at, h.kind, e.key, h.timeline, h.task, coalesce(h.key, s.name), h.occurrence, h.due_at, h.started_at,
  h.fence, h.attempt, h.outcome, h.reason, s.timeline
from hence.record h join hence.entity e on e.id = h.entity left join hence.step s on s.id = h.step
where h.kind = $1::smallint and h.kind >= 10
  and h.seq between $2::bigint and $3::bigint and ($4::bigint >> h.kind::int) & 1 = 1
  and ($5::bigint[] is null or h.step = any($5)) and ($6::text is null or e.key = $6)
  and h.written_at >= $8::bigint and h.written_at < $9::bigint
order by h.seq asc limit $7::bigint;
