-- Only postgres: SQLite has one writer and adds at once. Folds the changes of counters into them. Called now and then by the store, under
-- a lock. Reads the changes that there are; primary key.
with gone as (delete from hence.counter_change returning subject, hour, step, outcome, added)
insert into hence.counter (subject, hour, step, outcome, count)
select g.subject, g.hour, g.step, g.outcome, sum(g.added)::bigint from gone g
group by g.subject, g.hour, g.step, g.outcome having sum(g.added) <> 0 order by g.subject, g.hour, g.step, g.outcome
on conflict (subject, hour, step, outcome) do update set count = hence.counter.count + excluded.count;
