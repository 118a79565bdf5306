-- What wakes until an instant. Called by due_soon. Index hence_live_wake. ?1 and ?2 behind this instant and id, ?3 until, ?4 limit.
select l.wake_at, l.id from hence_live l indexed by hence_live_wake
where l.state = 0 and (l.wake_at, l.id) > (?1, ?2) and l.wake_at <= ?3 order by l.wake_at, l.id limit ?4;
