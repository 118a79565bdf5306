-- The timelines of an entity. Called by snapshots. Index hence_timeline_entity. ?1 entity.
select t.id, t.name, t.definition, e.key, t.run, t.status, t.enrolled_at, t.given, t.facts
from hence_timeline t cross join hence_entity e on e.id = t.entity where t.entity = ?1 order by t.id;
