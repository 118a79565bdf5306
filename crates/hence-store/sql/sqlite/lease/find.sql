-- Who holds the lease. Called by all that need it. Primary key. ?1 shard.
select node, epoch from lease where shard = ?1;
