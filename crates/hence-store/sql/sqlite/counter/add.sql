-- Adds to a counter and gives what it is now. Called by all that write. Primary key. ?1 subject, ?2 hour, ?3 step, ?4 outcome,
-- ?5 added.
insert into hence_counter (subject, hour, step, outcome, count) values (?1, ?2, ?3, ?4, ?5)
on conflict (subject, hour, step, outcome) do update set count = count + ?5 returning count;
