-- Puts wishes and gives their numbers, both in the order of the arrays. Called by accept. $1 entities, $2 at, $3 actors, $4 bodies.
insert into hence.wish (entity, at, actor, body)
select n.entity, n.at, n.actor, n.body
from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) with ordinality as n (entity, at, actor, body, place)
order by n.place returning id;
