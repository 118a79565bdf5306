-- Only sqlite: PostgreSQL lists its migrations. The number of the newest migration. Called when a store is opened. The one row.
select schema_version from hence_store where id = 1;
