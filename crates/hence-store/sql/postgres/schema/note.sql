-- Only postgres: SQLite keeps the number in the file's head. Notes an applied migration. Called by migrate. $1 its number.
insert into hence.migration (number, applied_at) values ($1::bigint, (extract(epoch from clock_timestamp()) * 1000000)::bigint);
