-- The schema of the SQLite store, as the migrations make it. A test compares this dump with a new file; nothing reads it otherwise.

CREATE TABLE accepted_key (
  key text primary key,
  wish integer not null,
  entity integer not null,
  body_hash blob not null,
  accepted_at integer not null
) without rowid;

CREATE TABLE body (
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

CREATE TABLE counter (
  subject integer not null,   -- 0 upcoming, 1 finished
  hour integer not null,      -- hours since 1970
  step integer not null,
  outcome text not null,
  count integer not null,
  primary key (subject, hour, step, outcome)
) without rowid;

CREATE TABLE definition (
  hash text primary key,
  name text not null,
  source text not null,
  created_at integer not null,
  put_seq integer not null    -- the highest of a name is the current one
);

CREATE TABLE entity (
  id integer primary key,
  key text not null unique,   -- as written: account/42
  version integer not null,
  erase_at integer,
  idle_since integer          -- null while anything is ahead
);

CREATE TABLE history (
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

CREATE TABLE live (
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

CREATE TABLE node (
  name text primary key,
  beat integer not null,
  joined_at integer not null,
  beaten_at integer not null,
  is_leaving integer not null,
  notice text                 -- what people should know of it
) without rowid;

CREATE TABLE postponed (
  entity integer primary key,
  since integer not null,
  tries integer not null,
  try_at integer not null,
  code text not null,
  message text not null
);

CREATE TABLE sequence (
  name text primary key,
  last integer not null
) without rowid;

CREATE TABLE shard (
  number integer primary key,
  epoch integer not null,
  holder text                 -- a node; null while it is free
);

CREATE TABLE step (
  id integer primary key,
  timeline text not null,
  kind text not null,         -- the entity's type
  name text not null,         -- empty for records about a timeline as a whole
  unique (timeline, kind, name)
);

CREATE TABLE store (
  id integer primary key check (id = 1),
  store_id text not null,
  clock_now integer,          -- both null: the machine's clock
  clock_target integer
);

CREATE TABLE tally (
  name text primary key,      -- live.scheduled, finished.done, entities, …
  count integer not null
) without rowid;

CREATE TABLE timeline (
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

CREATE TABLE wish (
  id integer primary key autoincrement,
  entity integer not null,
  at integer not null,
  actor text not null,
  body text not null
);

CREATE INDEX accepted_key_accepted on accepted_key (accepted_at);

CREATE INDEX accepted_key_entity on accepted_key (entity);

CREATE UNIQUE INDEX body_occurrence on body (timeline, step, occurrence) where timeline is not null;

CREATE INDEX entity_erase on entity (erase_at, key) where erase_at is not null;

CREATE INDEX entity_idle on entity (idle_since, key) where idle_since is not null;

CREATE INDEX history_entity on history (entity);

CREATE INDEX history_kind on history (kind) where kind >= 10;

CREATE INDEX history_step on history (step) where step is not null;

CREATE INDEX history_task on history (task) where task is not null;

CREATE INDEX live_answer on live (wake_at) where state = 3;

CREATE INDEX live_entity on live (entity, due_at);

CREATE INDEX live_owned on live (state, due_at) where state > 0;

CREATE INDEX live_step on live (step, due_at);

CREATE INDEX live_wake on live (wake_at) where state = 0;

CREATE INDEX timeline_entity on timeline (entity);

CREATE INDEX wish_entity on wish (entity);
