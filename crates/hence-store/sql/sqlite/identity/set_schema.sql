-- Only sqlite: PostgreSQL lists its migrations. Notes the newest migration. Called by migrate. The one row. ?1 its number.
update hence_store set schema_version = ?1 where id = 1;
