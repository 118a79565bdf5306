-- Takes numbers of a sequence and gives the last one. Called for ids and definitions. Primary key. $1 the sequence, $2 how many.
update hence.sequence set last = last + $2::bigint where name = $1::text returning last;
