-- Postpones the wishes of an entity, if one of them is still there. Called by write. Primary keys. ?1 wish, ?2 entity, ?3 now,
-- ?4 when to try again, ?5 code and ?6 message of the problem.
insert into hence_postponed (entity, since, tries, try_at, code, message)
select w.entity, ?3, 1, ?4, ?5, ?6 from hence_wish w where w.id = ?1 and w.entity = ?2
on conflict (entity) do update set tries = tries + 1, try_at = excluded.try_at, code = excluded.code, message = excluded.message;
