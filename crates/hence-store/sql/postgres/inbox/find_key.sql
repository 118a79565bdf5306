-- What was accepted under keys. Called by accept. Primary key. $1 keys.
select key, wish, body_hash from hence.accepted_key where key = any($1::text[]);
