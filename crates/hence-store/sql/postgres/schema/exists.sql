-- Only postgres: SQLite looks at the file. Whether there is a table of migrations, or anything in the schema. Called when a store is opened.
select to_regclass('hence.migration') is not null, to_regclass('hence.store') is not null;
