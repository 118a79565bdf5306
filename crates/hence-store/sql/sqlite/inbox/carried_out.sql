-- Ends the postponement of an entity's wishes. Called by write and erase. Primary key. ?1 entity.
delete from hence_postponed where entity = ?1;
