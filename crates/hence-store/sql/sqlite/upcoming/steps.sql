-- The numbers of steps. Called by upcoming, history and counts; the table is small: a row for each step of each definition. ?1
-- timeline or null, ?2 type of the entity or null, ?3 name or null.
select id from hence_step where (?1 is null or timeline = ?1) and (?2 is null or kind = ?2) and (?3 is null or name = ?3) order by id;
