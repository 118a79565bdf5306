-- A timeline. Called by task. Primary key. ?1 id.
select t.id, t.name, t.definition, e.key, t.run, t.status, t.enrolled_at, t.given, t.facts
from hence_timeline t cross join hence_entity e on e.id = t.entity where t.id = ?1;
