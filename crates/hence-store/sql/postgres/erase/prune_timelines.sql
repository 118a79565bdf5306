-- Forgets the timelines of entities. Called by prune. Index timeline_entity. $1 entities.
delete from hence.run where entity = any($1::bigint[]);
