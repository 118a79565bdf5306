-- Adds to a tally. Called by all that write. Primary key. ?1 name, ?2 added.
insert into hence_tally (name, count) values (?1, ?2) on conflict (name) do update set count = count + ?2;
