-- Only postgres: SQLite finds them one by one. The versions of entities. Called by snapshots. Unique index on key. $1 written forms.
select e.key, e.version from hence.entity e where e.key = any($1::text[]);
