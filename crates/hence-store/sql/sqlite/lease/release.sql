-- Gives a shard back. Called by release. Primary key. ?1 shard, ?2 epoch, ?3 node.
update hence_shard set holder = null where number = ?1 and epoch = ?2 and holder = ?3;
