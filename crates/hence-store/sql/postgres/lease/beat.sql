-- Says that a node lives, or makes its row. Called by beat. Primary key. $1 node, $2 at, $3 whether it is about to stop, $4 notice or
-- null, $5 the number of the beat.
insert into hence.node (node, beat, joined_at, beaten_at, is_leaving, notice)
values ($1::text, $5::bigint, $2::bigint, $2, $3::boolean, $4::text)
on conflict (node) do update set beat = greatest(hence.node.beat, excluded.beat), beaten_at = excluded.beaten_at, is_leaving = excluded.is_leaving,
  notice = excluded.notice;
