-- Replaces the reasons of tasks and drops their actions. Called by erase. Primary key. $1 ids, $2 reasons.
update hence.body b set reason = n.reason, action = null from unnest($1::bigint[], $2::text[]) as n (id, reason) where b.id = n.id;
