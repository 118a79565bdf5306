-- All tallies. Called by totals; the table is small: a row for each state and outcome.
select name, count from tally where count <> 0;
