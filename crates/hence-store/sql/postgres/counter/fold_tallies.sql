-- Only postgres: SQLite has one writer and adds at once. Folds the changes of tallies into them. Called with counter/fold.
with gone as (delete from hence.tally_change returning name, added)
insert into hence.tally (name, count)
select g.name, sum(g.added)::bigint from gone g group by g.name having sum(g.added) <> 0 order by g.name
on conflict (name) do update set count = hence.tally.count + excluded.count;
