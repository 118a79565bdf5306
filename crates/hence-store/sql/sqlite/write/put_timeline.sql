-- Inserts or replaces a timeline. Called by write. Primary key. ?1 id, ?2 entity, ?3 name, ?4 definition, ?5 run, ?6 status, ?7
-- enrolled_at, ?8 given, ?9 facts.
insert into hence_timeline (id, entity, name, definition, run, status, enrolled_at, given, facts)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
on conflict (id) do update set name = ?3, definition = ?4, run = ?5, status = ?6, enrolled_at = ?7, given = ?8, facts = ?9;
