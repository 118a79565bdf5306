-- When the next scheduled task may start. Called by totals. Index live_wake, from its first row on.
select l.wake_at from hence.live l where not l.is_parked and l.state = 0 order by l.wake_at, l.id limit 1;
