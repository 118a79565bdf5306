-- Takes out all wishes about an entity. Called by erase. Index wish_entity. ?1 entity.
delete from wish where entity = ?1;
