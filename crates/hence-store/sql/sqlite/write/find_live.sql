-- Where a task stands. Called by write before it changes or ends. Primary key. ?1 id.
select l.entity, l.step, l.due_at, l.state, l.fence, b.timeline, l.flags
from hence_live l cross join hence_body b on b.id = l.id where l.id = ?1;
