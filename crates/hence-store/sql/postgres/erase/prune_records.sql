-- Forgets the history of entities. Called by prune. Index history_entity. $1 entities.
delete from hence.record where entity = any($1::bigint[]);
