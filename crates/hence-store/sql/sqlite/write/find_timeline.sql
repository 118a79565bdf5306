-- Whose a timeline is and what it is called. Called by write. Primary key. ?1 id.
select entity, name from hence_timeline where id = ?1;
