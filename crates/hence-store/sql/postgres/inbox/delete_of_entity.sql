-- Takes out all wishes about entities. Called by erase. Index wish_entity. $1 entities.
delete from hence.wish where entity = any($1::bigint[]);
