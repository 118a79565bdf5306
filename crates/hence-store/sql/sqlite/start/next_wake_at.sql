-- When the next scheduled task may start. Called by totals. Index live_wake, its first row.
select wake_at from live indexed by live_wake where state = 0 order by wake_at, id limit 1;
