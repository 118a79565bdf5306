-- Final transitions, as conditional writes. Called by write and erase. Primary key. $1 ids, $2 fences before, $3 states before.
delete from hence.live l using unnest($1::bigint[], $2::bigint[], $3::smallint[]) as n (id, fence, state)
where l.id = n.id and l.fence = n.fence and l.state = n.state;
