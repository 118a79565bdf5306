-- Whose timelines are and what they are called. Called by write. Primary key. $1 ids.
select t.id, t.entity, t.name from hence.run t where t.id = any($1::bigint[]);
