-- All tallies, with the changes that are not folded yet. Called by totals; the tables are small.
with counted as (select t.name, t.count from hence.tally t union all select c.name, c.added from hence.tally_change c)
select c.name, sum(c.count)::bigint from counted c group by c.name having sum(c.count) <> 0;
