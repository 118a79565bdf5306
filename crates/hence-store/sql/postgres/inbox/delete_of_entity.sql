-- Takes out the wishes about entities, up to one. Called by erase. Index wish_entity. $1 entities, $2 the last wish that goes.
delete from hence.wish where entity = any($1::bigint[]) and id <= $2::bigint;
