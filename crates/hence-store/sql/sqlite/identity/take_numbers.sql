-- Takes numbers of a sequence and gives the last one. Called for ids, fences and definitions. ?1 the sequence, ?2 how many.
update hence_sequence set last = last + ?2 where name = ?1 returning last;
