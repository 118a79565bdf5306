-- Ends and empties the timelines of an entity. Called by erase. Index timeline_entity. $1 entity.
update hence.run set status = 1, given = '{}', facts = '{}' where entity = $1::bigint;
