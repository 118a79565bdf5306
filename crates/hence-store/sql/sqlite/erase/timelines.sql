-- Ends and empties the timelines of an entity. Called by erase. Index hence_timeline_entity. ?1 entity.
update hence_timeline set status = 1, given = '{}', facts = '{}' where entity = ?1;
