-- Replaces the reasons of records. Called by erase. Primary key. $1 numbers, $2 written_at, $3 reasons.
update hence.record h set reason = n.reason
from unnest($1::bigint[], $2::bigint[], $3::text[]) as n (seq, written_at, reason)
where h.seq = n.seq and h.written_at = n.written_at;
