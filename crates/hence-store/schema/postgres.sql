-- The schema of the PostgreSQL store, as the migrations make it. A test compares this dump with a new database; nothing reads it otherwise.

table accepted_key
  key text collate C not null
  wish bigint not null
  entity bigint not null
  body_hash bytea not null
  accepted_at bigint not null

table body
  id bigint not null
  timeline bigint
  step bigint not null
  key text
  occurrence text collate C not null
  created_at bigint not null
  entity bigint not null
  reason text not null
  action text

table counter
  subject smallint not null
  hour bigint not null
  step bigint not null
  outcome text collate C not null
  count bigint not null

table counter_change with (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=20000, autovacuum_vacuum_cost_delay=0)
  subject smallint not null
  hour bigint not null
  step bigint not null
  outcome text collate C not null
  added bigint not null

table definition
  hash text collate C not null
  name text collate C not null
  source text not null
  created_at bigint not null
  put_seq bigint not null

table entity with (fillfactor=80)
  id bigint not null identity
  key text collate C not null
  shard smallint not null
  version bigint not null
  erase_at bigint
  idle_since bigint

table history partition by RANGE (written_at)
  seq bigint not null default nextval('history_seq'::regclass)
  written_at bigint not null
  at bigint not null
  kind smallint not null
  entity bigint not null
  timeline bigint
  task bigint
  step bigint
  key text
  occurrence text not null
  due_at bigint
  started_at bigint
  fence bigint not null
  attempt bigint not null
  outcome text
  reason text not null

table live with (fillfactor=50, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=50000, autovacuum_vacuum_cost_delay=0, autovacuum_analyze_scale_factor=0, autovacuum_analyze_threshold=500000)
  id bigint not null
  wake_at bigint not null
  due_at bigint not null
  entity bigint not null
  step bigint not null
  fence bigint not null
  started_at bigint
  attempt bigint not null
  takeovers bigint not null
  shard smallint not null
  state smallint not null
  flags smallint not null
  is_parked boolean not null

table migration
  number bigint not null
  applied_at bigint not null

table node with (fillfactor=50)
  node text collate C not null
  beat bigint not null
  joined_at bigint not null
  beaten_at bigint not null
  is_leaving boolean not null
  notice text

table postponed
  entity bigint not null
  since bigint not null
  tries bigint not null
  try_at bigint not null
  code text not null
  message text not null

table sequence
  name text collate C not null
  last bigint not null

table shard with (fillfactor=50)
  shard smallint not null
  epoch bigint not null
  node text collate C

table step
  id bigint not null identity
  timeline text collate C not null
  kind text collate C not null
  name text collate C not null

table store
  id bigint not null
  store_id text not null
  shards smallint not null
  clock_now bigint
  clock_target bigint

table tally
  name text collate C not null
  count bigint not null

table tally_change with (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=20000, autovacuum_vacuum_cost_delay=0)
  name text collate C not null
  added bigint not null

table timeline with (fillfactor=80)
  id bigint not null
  entity bigint not null
  name text collate C not null
  definition text not null
  run bigint not null
  status smallint not null
  enrolled_at bigint not null
  given text not null
  facts text not null

table wish with (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=20000, autovacuum_vacuum_cost_delay=0)
  id bigint not null identity
  entity bigint not null
  at bigint not null
  actor text not null
  body text not null

constraint accepted_key accepted_key_pkey PRIMARY KEY (key)

constraint body body_pkey PRIMARY KEY (id)

constraint counter counter_pkey PRIMARY KEY (subject, hour, step, outcome)

constraint definition definition_pkey PRIMARY KEY (hash)

constraint entity entity_key_key UNIQUE (key)

constraint entity entity_pkey PRIMARY KEY (id)

constraint history history_pkey PRIMARY KEY (seq, written_at)

constraint live live_pkey PRIMARY KEY (id)

constraint migration migration_pkey PRIMARY KEY (number)

constraint node node_pkey PRIMARY KEY (node)

constraint postponed postponed_pkey PRIMARY KEY (entity)

constraint sequence sequence_pkey PRIMARY KEY (name)

constraint shard shard_pkey PRIMARY KEY (shard)

constraint step step_pkey PRIMARY KEY (id)

constraint step step_timeline_kind_name_key UNIQUE (timeline, kind, name)

constraint store store_id_check CHECK ((id = 1))

constraint store store_pkey PRIMARY KEY (id)

constraint tally tally_pkey PRIMARY KEY (name)

constraint timeline timeline_pkey PRIMARY KEY (id)

constraint wish wish_pkey PRIMARY KEY (id)

CREATE INDEX accepted_key_accepted ON hence.accepted_key USING btree (accepted_at)

CREATE INDEX accepted_key_entity ON hence.accepted_key USING btree (entity)

CREATE UNIQUE INDEX accepted_key_pkey ON hence.accepted_key USING btree (key)

CREATE UNIQUE INDEX body_occurrence ON hence.body USING btree (timeline, step, occurrence) WHERE (timeline IS NOT NULL)

CREATE UNIQUE INDEX body_pkey ON hence.body USING btree (id)

CREATE UNIQUE INDEX counter_pkey ON hence.counter USING btree (subject, hour, step, outcome)

CREATE UNIQUE INDEX definition_pkey ON hence.definition USING btree (hash)

CREATE INDEX entity_erase ON hence.entity USING btree (erase_at, key) WHERE (erase_at IS NOT NULL)

CREATE INDEX entity_idle ON hence.entity USING btree (idle_since, key) WHERE (idle_since IS NOT NULL)

CREATE UNIQUE INDEX entity_key_key ON hence.entity USING btree (key)

CREATE UNIQUE INDEX entity_pkey ON hence.entity USING btree (id)

CREATE INDEX history_entity ON ONLY hence.history USING btree (entity, seq)

CREATE INDEX history_kind ON ONLY hence.history USING btree (kind, seq) WHERE (kind >= 10)

CREATE UNIQUE INDEX history_pkey ON ONLY hence.history USING btree (seq, written_at)

CREATE INDEX history_step ON ONLY hence.history USING btree (step, seq) WHERE (step IS NOT NULL)

CREATE INDEX live_entity ON hence.live USING btree (entity, due_at, id)

CREATE UNIQUE INDEX live_pkey ON hence.live USING btree (id)

CREATE INDEX live_step ON hence.live USING btree (step, due_at, id)

CREATE INDEX live_wake ON hence.live USING btree (is_parked, wake_at, id)

CREATE UNIQUE INDEX migration_pkey ON hence.migration USING btree (number)

CREATE UNIQUE INDEX node_pkey ON hence.node USING btree (node)

CREATE UNIQUE INDEX postponed_pkey ON hence.postponed USING btree (entity)

CREATE UNIQUE INDEX sequence_pkey ON hence.sequence USING btree (name)

CREATE UNIQUE INDEX shard_pkey ON hence.shard USING btree (shard)

CREATE UNIQUE INDEX step_pkey ON hence.step USING btree (id)

CREATE UNIQUE INDEX step_timeline_kind_name_key ON hence.step USING btree (timeline, kind, name)

CREATE UNIQUE INDEX store_pkey ON hence.store USING btree (id)

CREATE UNIQUE INDEX tally_pkey ON hence.tally USING btree (name)

CREATE INDEX timeline_entity ON hence.timeline USING btree (entity)

CREATE UNIQUE INDEX timeline_pkey ON hence.timeline USING btree (id)

CREATE INDEX wish_entity ON hence.wish USING btree (entity)

CREATE UNIQUE INDEX wish_pkey ON hence.wish USING btree (id)

sequence entity_id_seq

sequence fence

sequence history_seq

sequence step_id_seq

sequence wish_id_seq

CREATE OR REPLACE FUNCTION hence.clock()
 RETURNS bigint
 LANGUAGE sql
 PARALLEL SAFE
AS $function$
  select coalesce((select s.clock_now from hence.store s where s.id = 1), (extract(epoch from clock_timestamp()) * 1000000)::bigint)
$function$


CREATE OR REPLACE FUNCTION hence.drop_empty_history(before bigint)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$


CREATE OR REPLACE FUNCTION hence.make_history(number bigint)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$


CREATE OR REPLACE FUNCTION hence.tally_rows()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  insert into hence.tally_change (name, added)
    select tg_argv[0], tg_argv[1]::bigint * count(*) from changed having count(*) > 0;
  return null;
end $function$


CREATE TRIGGER entity_deleted AFTER DELETE ON hence.entity REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tally_rows('entities', '-1')

CREATE TRIGGER entity_inserted AFTER INSERT ON hence.entity REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tally_rows('entities', '1')

CREATE TRIGGER wish_deleted AFTER DELETE ON hence.wish REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tally_rows('wishes', '-1')

CREATE TRIGGER wish_inserted AFTER INSERT ON hence.wish REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tally_rows('wishes', '1')
