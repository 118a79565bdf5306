-- Only sqlite: PostgreSQL has many shards.
-- Who owns a shard. Called by beat, ownership and all that need a lease. Primary key. ?1 shard.
select epoch, holder from hence_shard where number = ?1;
