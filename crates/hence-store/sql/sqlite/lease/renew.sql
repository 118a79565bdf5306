-- Says that the holder is alive. Called by renew. Primary key. ?1 shard, ?2 epoch, ?3 now.
update lease set renewed_at = ?3 where shard = ?1 and epoch = ?2;
