-- Notes changes of tallies. Called by all that write. $1 names, $2 added.
insert into hence.tally_change (name, added) select n.name, n.added from unnest($1::text[], $2::bigint[]) as n (name, added);
