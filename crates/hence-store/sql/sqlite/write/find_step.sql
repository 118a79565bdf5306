-- The number of a step. Called by write, once for each step and process. Unique index. ?1 timeline, ?2 type of the entity, ?3
-- name.
select id from hence_step where timeline = ?1 and kind = ?2 and name = ?3;
