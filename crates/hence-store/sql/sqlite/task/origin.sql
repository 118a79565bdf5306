-- What a task was made with. Called by task. Primary key. ?1 id.
select b.id, e.key, b.timeline, coalesce(b.key, s.name), b.occurrence, b.created_at, b.reason, b.action
from hence_body b cross join hence_entity e on e.id = b.entity cross join hence_step s on s.id = b.step where b.id = ?1;
