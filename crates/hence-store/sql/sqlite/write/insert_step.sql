-- Gives a step a number. Called by write. ?1 timeline, ?2 type of the entity, ?3 name.
insert into hence_step (timeline, kind, name) values (?1, ?2, ?3);
