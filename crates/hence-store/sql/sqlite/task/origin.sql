-- What a task was made with. Called by task. Primary key. ?1 id.
select b.id, e.key, b.timeline, coalesce(b.key, s.name), b.occurrence, b.created_at, b.reason, b.action
from body b cross join entity e on e.id = b.entity cross join step s on s.id = b.step where b.id = ?1;
