-- Says that a node lives. Called by beat. Primary key. ?1 node, ?2 now by its clock, ?3 whether it leaves,
-- ?4 what people should know, ?5 the number of the beat.
insert into hence_node (name, beat, joined_at, beaten_at, is_leaving, notice) values (?1, ?5, ?2, ?2, ?3, ?4)
on conflict (name) do update set beat = max(beat, ?5), beaten_at = ?2, is_leaving = ?3, notice = ?4;
