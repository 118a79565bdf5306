-- Inserts or replaces timelines. Called by write. Primary key. $1 ids, $2 entities, $3 names, $4 definitions, $5 runs, $6 statuses, $7
-- enrolled_at, $8 given, $9 facts.
insert into hence.run (id, entity, name, definition, run, status, enrolled_at, given, facts)
select n.id, n.entity, n.name, n.definition, n.run, n.status, n.enrolled_at, n.given, n.facts
from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::smallint[], $7::bigint[], $8::text[], $9::text[])
  as n (id, entity, name, definition, run, status, enrolled_at, given, facts)
order by n.id on conflict (id) do update set name = excluded.name, definition = excluded.definition, run = excluded.run,
  status = excluded.status, enrolled_at = excluded.enrolled_at, given = excluded.given, facts = excluded.facts;
