-- Where a task stands. Called by write before it changes or ends. Primary key. ?1 id.
select l.entity, l.step, l.due_at, l.state, l.fence, b.timeline, l.flags
from live l cross join body b on b.id = l.id where l.id = ?1;
