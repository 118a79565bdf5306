-- The erasure is done. Called by erase. Primary key. ?1 entity.
update hence_entity set erase_at = null where id = ?1;
