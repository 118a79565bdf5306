-- Notes changes of counters. Called by all that write. $1 subjects, $2 hours, $3 steps, $4 outcomes, $5 added.
insert into hence.counter_change (subject, hour, step, outcome, added)
select n.subject, n.hour, n.step, n.outcome, n.added
from unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[]) as n (subject, hour, step, outcome, added);
