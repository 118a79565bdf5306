-- The erasure is done. Called by erase. Primary key. $1 entity.
update hence.entity set erase_at = null where id = $1::bigint;
