-- The reasons of an entity's records. Called by erase. Index history_entity. $1 entity.
select h.seq, h.written_at, h.reason from hence.record h where h.entity = $1::bigint;
