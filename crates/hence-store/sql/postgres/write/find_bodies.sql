-- Only postgres: SQLite sees it when it inserts. Which numbers and occurrences are taken. Called by write. Primary key and index
-- body_occurrence. $1 ids, $2 timelines, $3 steps, $4 occurrences.
select n.id, exists (select 1 from hence.body b where b.id = n.id),
  exists (select 1 from hence.body b where b.timeline = n.timeline and b.step = n.step and b.occurrence = n.occurrence)
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) as n (id, timeline, step, occurrence);
