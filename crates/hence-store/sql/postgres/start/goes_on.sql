-- Which attempts are under way and nobody asked to cancel. Called by attempts_to_stop. Primary key. $1 ids, $2 their fences, $3 the mark of
-- a cancel that was asked for.
select l.id from unnest($1::bigint[], $2::bigint[]) as n (id, fence) join hence.live l on l.id = n.id
where l.state = 1 and l.fence = n.fence and l.flags & $3::smallint = 0;
