-- Frees what a forgotten node owned. Called by forget. A row for each shard. ?1 node.
update hence_shard set holder = null where holder = ?1;
