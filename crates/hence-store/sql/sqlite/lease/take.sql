-- Gives the lease to a node. Called by take_lease, under the file lock. ?1 shard, ?2 node, ?3 epoch, ?4 now.
insert into lease (shard, node, epoch, renewed_at) values (?1, ?2, ?3, ?4)
on conflict (shard) do update set node = ?2, epoch = ?3, renewed_at = ?4;
