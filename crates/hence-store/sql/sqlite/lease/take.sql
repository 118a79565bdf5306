-- Gives a free shard to a node that is known. Called by take, under the file lock. Primary keys. ?1 shard, ?2 epoch as seen, ?3 node,
-- ?4 the new epoch.
update hence_shard set holder = ?3, epoch = ?4
where number = ?1 and epoch = ?2 and holder is null and exists (select 1 from hence_node where name = ?3);
