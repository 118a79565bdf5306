-- The entity's row. Called by all that write about it. Unique index on key. ?1 its written form.
select id, version from hence_entity where key = ?1;
