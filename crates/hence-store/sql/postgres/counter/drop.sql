-- Drops counters that came to zero. Called with counter/fold; the table is small: hours times steps.
delete from hence.counter where count = 0;
