-- Gives the lease back. Called by release. Primary key. ?1 shard, ?2 epoch.
delete from lease where shard = ?1 and epoch = ?2;
