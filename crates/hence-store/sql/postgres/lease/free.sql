-- Frees what a forgotten node owned. Called by forget; the table is small. $1 node.
update hence.shard set node = null where node = $1::text;
