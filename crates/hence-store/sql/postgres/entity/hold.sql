-- Only postgres: SQLite has one writer. The rows of entities, held against being forgotten. Called by accept. Unique index on key. $1
-- their written forms.
select e.key, e.id from hence.entity e where e.key = any($1::text[]) order by e.id for key share;
