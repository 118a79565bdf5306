-- Forgets a node that has not beaten since. Called by forget. Primary key. ?1 node, ?2 its beat.
delete from hence_node where name = ?1 and beat = ?2;
