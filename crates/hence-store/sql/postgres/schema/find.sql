-- Only postgres: SQLite keeps the number in the file's head. The number of the newest migration, and how texts are kept. Called when a
-- store is opened. Primary key.
select (select m.number from hence.migration m order by m.number desc limit 1), current_setting('server_encoding'),
  current_setting('transaction_read_only');
