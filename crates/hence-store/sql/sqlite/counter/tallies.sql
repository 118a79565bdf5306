-- All tallies. Called by totals; the table is small: a row for each state and outcome.
select name, count from hence_tally where count <> 0;
