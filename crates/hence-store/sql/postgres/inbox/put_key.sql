-- Keeps keys, in their order, so that two callers never wait for each other; gives those that were not there. Called by accept.
-- $1 keys, $2 wishes, $3 entities, $4 hashes of bodies, $5 accepted_at.
insert into hence.accepted_key (key, wish, entity, body_hash, accepted_at)
select n.key, n.wish, n.entity, n.body_hash, $5::bigint
from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[]) as n (key, wish, entity, body_hash)
order by n.key collate "C" on conflict do nothing returning key;
