-- Takes out a wish that is carried out. Called by write. ?1 id.
delete from hence_wish where id = ?1;
