-- Takes out the wishes about an entity, up to one. Called by erase. Index hence_wish_entity. ?1 entity, ?2 the last wish that goes.
delete from hence_wish where entity = ?1 and id <= ?2;
