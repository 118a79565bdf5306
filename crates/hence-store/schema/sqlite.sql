-- The schema of the SQLite store, as the migrations make it. A test compares this dump with a new file; nothing reads it otherwise.

CREATE VIEW hence_tell_v1 (wish) as select null where 0;

CREATE TRIGGER hence_tell_v1_insert instead of insert on hence_tell_v1
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

CREATE TABLE hence_accepted_key (
  key text primary key,
  wish integer not null,
  entity integer not null,
  body_hash blob not null,
  accepted_at integer not null
) without rowid;

CREATE TABLE hence_body (
  id integer primary key,
  timeline integer,
  step integer not null,
  key text,                   -- an ad-hoc task's
  occurrence text not null,
  created_at integer not null,
  entity integer not null,
  reason text not null,
  action text
);

CREATE TABLE hence_counter (
  subject integer not null,   -- 0 upcoming, 1 finished
  hour integer not null,      -- hours since 1970
  step integer not null,
  outcome text not null,
  count integer not null,
  primary key (subject, hour, step, outcome)
) without rowid;

CREATE TABLE hence_definition (
  hash text primary key,
  name text not null,
  source text not null,
  created_at integer not null,
  put_seq integer not null    -- the highest of a name is the current one
);

CREATE TABLE hence_entity (
  id integer primary key,
  key text not null unique,   -- as written: account/42
  version integer not null,
  erase_at integer,
  idle_since integer          -- null while anything is ahead
);

CREATE TABLE hence_history (
  seq integer primary key autoincrement,
  written_at integer not null,
  at integer not null,
  kind integer not null,
  entity integer not null,
  timeline integer,
  task integer,
  step integer,
  key text,
  occurrence text not null,
  due_at integer,
  started_at integer,
  fence integer not null,
  attempt integer not null,
  outcome text,
  reason text not null
);

CREATE TABLE hence_live (
  id integer primary key,
  wake_at integer not null,
  due_at integer not null,
  entity integer not null,
  step integer not null,
  state integer not null,
  fence integer not null,
  started_at integer,
  attempt integer not null,
  takeovers integer not null,
  flags integer not null
);

CREATE TABLE hence_node (
  name text primary key,
  beat integer not null,
  joined_at integer not null,
  beaten_at integer not null,
  is_leaving integer not null,
  notice text                 -- what people should know of it
) without rowid;

CREATE TABLE hence_postponed (
  entity integer primary key,
  since integer not null,
  tries integer not null,
  try_at integer not null,
  code text not null,
  message text not null
);

CREATE TABLE hence_sequence (
  name text primary key,
  last integer not null
) without rowid;

CREATE TABLE hence_shard (
  number integer primary key,
  epoch integer not null,
  holder text                 -- a node; null while it is free
);

CREATE TABLE hence_step (
  id integer primary key,
  timeline text not null,
  kind text not null,         -- the entity's type
  name text not null,         -- empty for records about a timeline as a whole
  unique (timeline, kind, name)
);

CREATE TABLE hence_store (
  id integer primary key check (id = 1),
  store_id text not null,
  schema_version integer not null default 0,   -- the number of the newest migration; the file's head belongs to whoever shares it
  clock_now integer,          -- both null: the machine's clock
  clock_target integer
);

CREATE TABLE hence_tally (
  name text primary key,      -- live.scheduled, finished.done, entities, …
  count integer not null
) without rowid;

CREATE TABLE hence_timeline (
  id integer primary key,
  entity integer not null,
  name text not null,
  definition text not null,
  run integer not null,
  status integer not null,
  enrolled_at integer not null,
  given text not null,
  facts text not null
);

CREATE TABLE hence_wish (
  id integer primary key autoincrement,
  entity integer not null,
  at integer not null,
  actor text not null,
  body text not null
);

CREATE INDEX hence_accepted_key_accepted on hence_accepted_key (accepted_at);

CREATE INDEX hence_accepted_key_entity on hence_accepted_key (entity);

CREATE UNIQUE INDEX hence_body_occurrence on hence_body (timeline, step, occurrence) where timeline is not null;

CREATE INDEX hence_entity_erase on hence_entity (erase_at, key) where erase_at is not null;

CREATE INDEX hence_entity_idle on hence_entity (idle_since, key) where idle_since is not null;

CREATE INDEX hence_history_entity on hence_history (entity);

CREATE INDEX hence_history_kind on hence_history (kind) where kind >= 10;

CREATE INDEX hence_history_step on hence_history (step) where step is not null;

CREATE INDEX hence_history_task on hence_history (task) where task is not null;

CREATE INDEX hence_live_answer on hence_live (wake_at) where state = 3;

CREATE INDEX hence_live_entity on hence_live (entity, due_at);

CREATE INDEX hence_live_owned on hence_live (state, due_at) where state > 0;

CREATE INDEX hence_live_step on hence_live (step, due_at);

CREATE INDEX hence_live_wake on hence_live (wake_at) where state = 0;

CREATE INDEX hence_timeline_entity on hence_timeline (entity);

CREATE INDEX hence_wish_entity on hence_wish (entity);
