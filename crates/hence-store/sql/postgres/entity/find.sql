-- The rows of entities, held against other writers in the order of their ids. Called by all that write. Unique index on key. $1 their
-- written forms.
select e.key, e.id, e.version, e.shard from hence.entity e where e.key = any($1::text[]) order by e.id for no key update;
