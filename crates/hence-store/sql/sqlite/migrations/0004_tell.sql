-- Telling within a transaction of another program on the same file: one row put into this view, one JSON document, becomes a wish in the
-- inbox, committed and rolled back with that transaction. The document: entity, at, actor, body (as the inbox keeps it), accepted_at, and with an
-- idempotency key `key` and `hash`, the SHA-256 of the body. Never changed: another form is another view.

create view hence_tell_v1 (wish) as select null where 0;

create trigger hence_tell_v1_insert instead of insert on hence_tell_v1
begin
  select raise(abort, 'hence_tell_v1: this is no document of a wish')
    where not coalesce(json_valid(new.wish), 0) or new.wish ->> 'entity' is null or new.wish ->> 'at' is null
      or new.wish ->> 'actor' is null or new.wish ->> 'body' is null or new.wish ->> 'accepted_at' is null;
  select raise(abort, 'HNC-0307: the key was used for something else') from hence_accepted_key k
    where k.key = new.wish ->> 'key' and k.body_hash <> unhex(new.wish ->> 'hash');
  insert into hence_tally (name, count)
    select 'entities', 1 where not exists (select 1 from hence_entity e where e.key = new.wish ->> 'entity')
    on conflict (name) do update set count = count + 1;
  insert into hence_entity (key, version, idle_since)
    select new.wish ->> 'entity', 0, new.wish ->> 'accepted_at' where true on conflict (key) do nothing;
  insert into hence_tally (name, count)
    select 'wishes', 1 where not exists (select 1 from hence_accepted_key k where k.key = new.wish ->> 'key')
    on conflict (name) do update set count = count + 1;
  insert into hence_wish (entity, at, actor, body)
    select e.id, new.wish ->> 'at', new.wish ->> 'actor', new.wish ->> 'body' from hence_entity e
    where e.key = new.wish ->> 'entity' and not exists (select 1 from hence_accepted_key k where k.key = new.wish ->> 'key');
  insert into hence_accepted_key (key, wish, entity, body_hash, accepted_at)
    select new.wish ->> 'key', last_insert_rowid(), e.id, unhex(new.wish ->> 'hash'), new.wish ->> 'accepted_at' from hence_entity e
    where e.key = new.wish ->> 'entity' and new.wish ->> 'key' is not null
      and not exists (select 1 from hence_accepted_key k where k.key = new.wish ->> 'key');
end;
