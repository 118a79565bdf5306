-- Postpones the wishes of entities. Called by write. Primary key. $1 entities, $2 when to try again, $3 codes and $4 messages of the
-- problems, $5 now.
insert into hence.postponed (entity, since, tries, try_at, code, message)
select n.entity, $5::bigint, 1, n.try_at, n.code, n.message
from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) as n (entity, try_at, code, message) order by n.entity
on conflict (entity) do update set tries = hence.postponed.tries + 1, try_at = excluded.try_at, code = excluded.code,
  message = excluded.message;
