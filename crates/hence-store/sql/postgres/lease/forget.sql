-- Forgets a node whose beat stood still. Called by forget. Primary key. $1 node, $2 its beat.
delete from hence.node where node = $1::text and beat = $2::bigint;
