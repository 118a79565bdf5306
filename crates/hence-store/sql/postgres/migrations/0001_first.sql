-- Everything. Instants are microseconds since 1970, states and kinds are the codes of `codes.rs`. Texts are compared by bytes
-- (collate "C"), whatever the database's own order is. Applied by `hence db migrate`; the schema `hence` is there already.

create table hence.store (
  id bigint primary key check (id = 1),
  store_id text not null,
  shards smallint not null,
  clock_now bigint,           -- both null: the database's clock
  clock_target bigint
);

-- Numbers that are handed out in blocks: ids of tasks and timelines, versions of definitions.
create table hence.sequence (
  name text collate "C" primary key,
  last bigint not null
);
insert into hence.sequence (name, last) values ('id', 0), ('definition', 0);
-- Fences of starts and epochs of shards. Not in the table above: taking one must not make others wait.
create sequence hence.fence as bigint;

-- What time it is: the virtual clock's instant, or that of the database. Unlike now() it goes on within a transaction.
create function hence.clock() returns bigint language sql volatile parallel safe as $$
  select coalesce((select s.clock_now from hence.store s where s.id = 1), (extract(epoch from clock_timestamp()) * 1000000)::bigint)
$$;

create table hence.definition (
  hash text collate "C" primary key,
  name text collate "C" not null,
  source text not null,
  created_at bigint not null,
  put_seq bigint not null     -- the highest of a name is the current one
);

create table hence.entity (
  id bigint generated always as identity primary key,
  key text collate "C" not null unique,   -- as written: account/42
  shard smallint not null,
  version bigint not null,
  erase_at bigint,
  idle_since bigint           -- null while anything is ahead
) with (fillfactor = 80);
create index entity_erase on hence.entity (erase_at, key) where erase_at is not null;
create index entity_idle on hence.entity (idle_since, key) where idle_since is not null;

create table hence.wish (
  id bigint generated always as identity primary key,
  entity bigint not null,
  at bigint not null,
  actor text not null,
  body text not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
create index wish_entity on hence.wish (entity);

create table hence.accepted_key (
  key text collate "C" primary key,
  wish bigint not null,
  entity bigint not null,
  body_hash bytea not null,
  accepted_at bigint not null
);
create index accepted_key_entity on hence.accepted_key (entity);
create index accepted_key_accepted on hence.accepted_key (accepted_at);

create table hence.timeline (
  id bigint primary key,
  entity bigint not null,
  name text collate "C" not null,
  definition text not null,
  run bigint not null,
  status smallint not null,
  enrolled_at bigint not null,
  given text not null,
  facts text not null
) with (fillfactor = 80);
create index timeline_entity on hence.timeline (entity);

-- What tasks are listed and counted by. An ad-hoc task has no timeline and no name here, so that its keys do not fill this table.
create table hence.step (
  id bigint generated always as identity primary key,
  timeline text collate "C" not null,
  kind text collate "C" not null,   -- the entity's type
  name text collate "C" not null,   -- empty for records about a timeline as a whole
  unique (timeline, kind, name)
);

-- The tasks that are not final: narrow, because these rows change. `state` stands in no index and no predicate of one, so that a
-- start rewrites nothing but its row, on its page (fillfactor 50 leaves the room).
create table hence.live (
  id bigint primary key,
  wake_at bigint not null,
  due_at bigint not null,
  entity bigint not null,
  step bigint not null,
  fence bigint not null,
  started_at bigint,
  attempt bigint not null,
  takeovers bigint not null,
  shard smallint not null,    -- the entity's
  state smallint not null,
  flags smallint not null,
  is_parked boolean not null  -- held, or its answer is awaited: few tasks, found without looking at the others
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 500000);
create index live_wake on hence.live (is_parked, wake_at, id);
create index live_entity on hence.live (entity, due_at, id);
create index live_step on hence.live (step, due_at, id);

-- What a task was made with: written once, kept as long as its history.
create table hence.body (
  id bigint primary key,
  timeline bigint,
  step bigint not null,
  key text,                   -- an ad-hoc task's
  occurrence text collate "C" not null,
  created_at bigint not null,
  entity bigint not null,
  reason text not null,
  action text
);
create unique index body_occurrence on hence.body (timeline, step, occurrence) where timeline is not null;

-- One row for each record, in parts of 30 days that are made when they are needed and dropped when they are empty.
create sequence hence.history_seq as bigint;
create table hence.history (
  seq bigint not null default nextval('hence.history_seq'),
  written_at bigint not null,
  at bigint not null,
  kind smallint not null,
  entity bigint not null,
  timeline bigint,
  task bigint,
  step bigint,
  key text,
  occurrence text not null,
  due_at bigint,
  started_at bigint,
  fence bigint not null,
  attempt bigint not null,
  outcome text,
  reason text not null,
  primary key (seq, written_at)
) partition by range (written_at);
create index history_entity on hence.history (entity, seq);
create index history_step on hence.history (step, seq) where step is not null;
-- Kinds below 10 are what most records are; they are found soon in any part of history.
create index history_kind on hence.history (kind, seq) where kind >= 10;

-- Makes the part of history with that number (written_at / 30 days) unless it is there.
create function hence.make_history(number bigint) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  span constant bigint := 2592000000000;
  part constant text := 'history_' || case when number < 0 then 'm' else '' end || abs(number);
begin
  perform pg_advisory_xact_lock(1213088581, 1);
  if to_regclass('hence.' || part) is null then
    execute format('create table hence.%I (like hence.history including defaults)', part);
    execute format('alter table hence.history attach partition hence.%I for values from (%s) to (%s)', part, number * span,
      (number + 1) * span);
  end if;
end $$;

-- Drops the parts of history that end before an instant and hold nothing any more; how many.
create function hence.drop_empty_history(before bigint) returns bigint language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
declare
  span constant bigint := 2592000000000;
  part text;
  number bigint;
  is_empty boolean;
  dropped bigint := 0;
begin
  perform pg_advisory_xact_lock(1213088581, 1);
  for part in select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'hence.history'::regclass order by c.relname
  loop
    number := replace(substr(part, 9), 'm', '-')::bigint;
    if (number + 1) * span <= before then
      execute format('select not exists (select 1 from hence.%I)', part) into is_empty;
      if is_empty then
        execute format('drop table hence.%I', part);
        dropped := dropped + 1;
      end if;
    end if;
  end loop;
  return dropped;
end $$;

-- Counters are kept as changes that a write only ever adds, so that no two writers, and no transaction of a user, wait for each other.
-- They are folded into the counters now and then; what is read is the sum of both.
create table hence.counter (
  subject smallint not null,  -- 0 upcoming, 1 finished
  hour bigint not null,       -- hours since 1970
  step bigint not null,
  outcome text collate "C" not null,
  count bigint not null,
  primary key (subject, hour, step, outcome)
);
create table hence.counter_change (
  subject smallint not null,
  hour bigint not null,
  step bigint not null,
  outcome text collate "C" not null,
  added bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
create table hence.tally (
  name text collate "C" primary key,  -- live.scheduled, finished.done, entities, …
  count bigint not null
);
create table hence.tally_change (
  name text collate "C" not null,
  added bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

-- Entities and wishes are counted where they change, so that whoever inserts one in a transaction of their own is counted as well.
create function hence.tally_rows() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into hence.tally_change (name, added)
    select tg_argv[0], tg_argv[1]::bigint * count(*) from changed having count(*) > 0;
  return null;
end $$;
create trigger entity_inserted after insert on hence.entity referencing new table as changed
  for each statement execute function hence.tally_rows('entities', '1');
create trigger entity_deleted after delete on hence.entity referencing old table as changed
  for each statement execute function hence.tally_rows('entities', '-1');
create trigger wish_inserted after insert on hence.wish referencing new table as changed
  for each statement execute function hence.tally_rows('wishes', '1');
create trigger wish_deleted after delete on hence.wish referencing old table as changed
  for each statement execute function hence.tally_rows('wishes', '-1');

-- Who lives, and who owns which shard.
create table hence.node (
  node text collate "C" primary key,
  beat bigint not null,
  joined_at bigint not null,
  beaten_at bigint not null,
  is_leaving boolean not null,
  notice text
) with (fillfactor = 50);
create table hence.shard (
  shard smallint primary key,
  epoch bigint not null,
  node text collate "C"
) with (fillfactor = 50);
