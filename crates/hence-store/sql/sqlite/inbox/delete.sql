-- Takes out a wish that is carried out. Called by write. ?1 id.
delete from wish where id = ?1;
