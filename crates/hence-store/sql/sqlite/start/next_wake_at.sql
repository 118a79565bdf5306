-- When the next scheduled task may start. Called by totals. Index hence_live_wake, its first row.
select wake_at from hence_live indexed by hence_live_wake where state = 0 order by wake_at, id limit 1;
