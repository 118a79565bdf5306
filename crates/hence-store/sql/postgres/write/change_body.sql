-- Moves bring new reasons and, of ad-hoc tasks, new actions. Called by write. Primary key. $1 ids, $2 reasons, $3 actions.
update hence.body b set reason = n.reason, action = n.action
from unnest($1::bigint[], $2::text[], $3::text[]) as n (id, reason, action)
where b.id = n.id and (b.reason <> n.reason or b.action is distinct from n.action);
