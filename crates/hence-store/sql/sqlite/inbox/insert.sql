-- Puts a wish. Called by accept. ?1 entity, ?2 at, ?3 actor, ?4 body.
insert into hence_wish (entity, at, actor, body) values (?1, ?2, ?3, ?4);
