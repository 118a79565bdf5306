-- Only sqlite: PostgreSQL has functions for it. Puts a wish within the transaction of another program, which runs this by itself.
-- Called by statement. Unique index on key. ?1 the document that the migration 0004 describes.
insert into hence_tell_v1 (wish) values (?1);
