-- Takes out all wishes about an entity. Called by erase. Index hence_wish_entity. ?1 entity.
delete from hence_wish where entity = ?1;
