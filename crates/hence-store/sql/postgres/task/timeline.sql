-- The timeline of a task. Called by task. Primary key. $1 the task's id.
select t.id, t.name, t.definition, e.key, t.run, t.status, t.enrolled_at, t.given, t.facts
from hence.run t join hence.entity e on e.id = t.entity
where t.id = (select b.timeline from hence.body b where b.id = $1::bigint);
