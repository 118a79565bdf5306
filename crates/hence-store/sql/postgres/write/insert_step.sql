-- Gives steps numbers. Called by write. $1 timelines, $2 types of the entities, $3 names.
insert into hence.step (timeline, kind, name)
select n.timeline, n.kind, n.name from unnest($1::text[], $2::text[], $3::text[]) as n (timeline, kind, name)
order by n.timeline collate "C", n.kind collate "C", n.name collate "C" on conflict do nothing;
