-- The numbers of steps. Called by write, once for each step and process. Unique index. $1 timelines, $2 types of the entities, $3 names.
select s.timeline, s.kind, s.name, s.id from hence.step s
join unnest($1::text[], $2::text[], $3::text[]) as n (timeline, kind, name)
  on s.timeline = n.timeline and s.kind = n.kind and s.name = n.name;
