-- Everything. Instants are microseconds since 1970, states and kinds are the codes of `sqlite/row.rs`.

create table hence_store (
  id integer primary key check (id = 1),
  store_id text not null,
  schema_version integer not null default 0,   -- the number of the newest migration; the file's head belongs to whoever shares it
  clock_now integer,          -- both null: the machine's clock
  clock_target integer
);

create table hence_sequence (
  name text primary key,
  last integer not null
) without rowid;
insert into hence_sequence (name, last) values ('id', 0), ('fence', 0), ('definition', 0);

create table hence_definition (
  hash text primary key,
  name text not null,
  source text not null,
  created_at integer not null,
  put_seq integer not null    -- the highest of a name is the current one
);

create table hence_entity (
  id integer primary key,
  key text not null unique,   -- as written: account/42
  version integer not null,
  erase_at integer,
  idle_since integer          -- null while anything is ahead
);
create index hence_entity_erase on hence_entity (erase_at, key) where erase_at is not null;
create index hence_entity_idle on hence_entity (idle_since, key) where idle_since is not null;

create table hence_wish (
  id integer primary key autoincrement,
  entity integer not null,
  at integer not null,
  actor text not null,
  body text not null
);
create index hence_wish_entity on hence_wish (entity);

create table hence_accepted_key (
  key text primary key,
  wish integer not null,
  entity integer not null,
  body_hash blob not null,
  accepted_at integer not null
) without rowid;
create index hence_accepted_key_accepted on hence_accepted_key (accepted_at);
create index hence_accepted_key_entity on hence_accepted_key (entity);

create table hence_timeline (
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
create index hence_timeline_entity on hence_timeline (entity);

-- What tasks are listed and counted by. An ad-hoc task has no timeline and no name here, so that its keys do not fill this table.
create table hence_step (
  id integer primary key,
  timeline text not null,
  kind text not null,         -- the entity's type
  name text not null,         -- empty for records about a timeline as a whole
  unique (timeline, kind, name)
);

-- The tasks that are not final: narrow, because these rows change. The id ends every index by itself.
create table hence_live (
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
create index hence_live_wake on hence_live (wake_at) where state = 0;
create index hence_live_answer on hence_live (wake_at) where state = 3;
create index hence_live_owned on hence_live (state, due_at) where state > 0;
create index hence_live_entity on hence_live (entity, due_at);
create index hence_live_step on hence_live (step, due_at);

-- What a task was made with: written once, kept as long as its history.
create table hence_body (
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
create unique index hence_body_occurrence on hence_body (timeline, step, occurrence) where timeline is not null;

create table hence_history (
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
create index hence_history_entity on hence_history (entity);
create index hence_history_task on hence_history (task) where task is not null;
create index hence_history_step on hence_history (step) where step is not null;
-- Kinds below 10 are what most records are; they are found soon in any part of history.
create index hence_history_kind on hence_history (kind) where kind >= 10;

create table hence_counter (
  subject integer not null,   -- 0 upcoming, 1 finished
  hour integer not null,      -- hours since 1970
  step integer not null,
  outcome text not null,
  count integer not null,
  primary key (subject, hour, step, outcome)
) without rowid;

create table hence_tally (
  name text primary key,      -- live.scheduled, finished.done, entities, …
  count integer not null
) without rowid;

create table hence_lease (
  shard integer primary key,
  node text not null,
  epoch integer not null,
  renewed_at integer not null
);
