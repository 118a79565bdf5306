-- Where tasks stand, held in the order of their ids. Called by write before they change or end. Primary key. $1 ids.
select l.id, l.entity, l.step, l.due_at, l.state, l.fence, b.timeline, l.flags
from hence.live l join hence.body b on b.id = l.id where l.id = any($1::bigint[]) order by l.id for update of l;
