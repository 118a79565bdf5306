-- The timelines of entities. Called by snapshots. Index timeline_entity. $1 the entities' written forms.
select t.id, t.name, t.definition, e.key, t.run, t.status, t.enrolled_at, t.given, t.facts
from hence.entity e join hence.run t on t.entity = e.id where e.key = any($1::text[]) order by t.id;
