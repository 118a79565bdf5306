-- The schema of the PostgreSQL store, as the migrations make it. A test compares this dump with a new database; nothing reads it otherwise.

table accepted_key
  key text collate C not null
  wish bigint not null
  entity bigint not null
  body_hash bytea not null
  accepted_at bigint not null

table allowed
  id bigint not null
  is_fake_now boolean not null

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

table record partition by RANGE (written_at)
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

table run with (fillfactor=80)
  id bigint not null
  entity bigint not null
  name text collate C not null
  definition text not null
  run bigint not null
  status smallint not null
  enrolled_at bigint not null
  given text not null
  facts text not null

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

table wish with (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=20000, autovacuum_vacuum_cost_delay=0)
  id bigint not null identity
  entity bigint not null
  at bigint not null
  actor text not null
  body text not null

constraint accepted_key accepted_key_pkey PRIMARY KEY (key)

constraint allowed allowed_id_check CHECK ((id = 1))

constraint allowed allowed_pkey PRIMARY KEY (id)

constraint body body_pkey PRIMARY KEY (id)

constraint counter counter_pkey PRIMARY KEY (subject, hour, step, outcome)

constraint definition definition_pkey PRIMARY KEY (hash)

constraint entity entity_key_key UNIQUE (key)

constraint entity entity_pkey PRIMARY KEY (id)

constraint record history_pkey PRIMARY KEY (seq, written_at)

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

constraint run timeline_pkey PRIMARY KEY (id)

constraint wish wish_pkey PRIMARY KEY (id)

CREATE INDEX accepted_key_accepted ON hence.accepted_key USING btree (accepted_at)

CREATE INDEX accepted_key_entity ON hence.accepted_key USING btree (entity)

CREATE UNIQUE INDEX accepted_key_pkey ON hence.accepted_key USING btree (key)

CREATE UNIQUE INDEX allowed_pkey ON hence.allowed USING btree (id)

CREATE UNIQUE INDEX body_occurrence ON hence.body USING btree (timeline, step, occurrence) WHERE (timeline IS NOT NULL)

CREATE UNIQUE INDEX body_pkey ON hence.body USING btree (id)

CREATE UNIQUE INDEX counter_pkey ON hence.counter USING btree (subject, hour, step, outcome)

CREATE UNIQUE INDEX definition_pkey ON hence.definition USING btree (hash)

CREATE INDEX entity_erase ON hence.entity USING btree (erase_at, key) WHERE (erase_at IS NOT NULL)

CREATE INDEX entity_idle ON hence.entity USING btree (idle_since, key) WHERE (idle_since IS NOT NULL)

CREATE UNIQUE INDEX entity_key_key ON hence.entity USING btree (key)

CREATE UNIQUE INDEX entity_pkey ON hence.entity USING btree (id)

CREATE INDEX history_entity ON ONLY hence.record USING btree (entity, seq)

CREATE INDEX history_kind ON ONLY hence.record USING btree (kind, seq) WHERE (kind >= 10)

CREATE UNIQUE INDEX history_pkey ON ONLY hence.record USING btree (seq, written_at)

CREATE INDEX history_step ON ONLY hence.record USING btree (step, seq) WHERE (step IS NOT NULL)

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

CREATE INDEX timeline_entity ON hence.run USING btree (entity)

CREATE UNIQUE INDEX timeline_pkey ON hence.run USING btree (id)

CREATE INDEX wish_entity ON hence.wish USING btree (entity)

CREATE UNIQUE INDEX wish_pkey ON hence.wish USING btree (id)

sequence entity_id_seq

sequence fence

sequence history_seq

sequence step_id_seq

sequence wish_id_seq

CREATE OR REPLACE FUNCTION hence.accept_all(wanted jsonb[], told_at bigint, only_known boolean)
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET jit TO 'off'
AS $function$
declare
  wishes jsonb[] := wanted;
  bodies text[];
  accepted bigint;
begin
  if only_known then
    wishes := array(select w.wish from unnest(wanted) with ordinality as w (wish, place)
      where w.wish ->> 'wish' = 'enrol' or exists (select 1 from hence.entity e where e.key = w.wish ->> 'entity')
        or w.wish ->> 'entity' in (select o ->> 'entity' from unnest(wanted) as o where o ->> 'wish' = 'enrol')
      order by w.place);
  end if;
  perform hence.check_timelines(wishes);
  bodies := array(select hence.read_wish(w.wish) from unnest(wishes) with ordinality as w (wish, place) order by w.place);
  perform hence.hold(array(select distinct w ->> 'entity' from unnest(wishes) as w));
  insert into hence.wish (entity, at, actor, body)
    select e.id, told_at, hence.teller(), n.body from unnest(wishes, bodies) with ordinality as n (wish, body, place)
    join hence.entity e on e.key = n.wish ->> 'entity' order by n.place;
  get diagnostics accepted = row_count;
  return accepted;
end $function$


CREATE OR REPLACE FUNCTION hence.accept_one(wish jsonb, at timestamp with time zone, idempotency_key text)
 RETURNS bigint
 LANGUAGE plpgsql
AS $function$
declare
  body constant text := hence.read_wish(wish);
  told_at constant bigint := hence.told_at(at);
  kept_key constant text := replace(idempotency_key, E'\u0001', E'\u00011');
  hash constant bytea := sha256(convert_to(body, 'UTF8'));
  about bigint;
  id bigint;
  known hence.accepted_key;
begin
  if wish ->> 'wish' = 'enrol' then
    perform hence.check_timelines(array[wish]);
  end if;
  if octet_length(idempotency_key) not between 1 and 255 then
    perform hence.refuse('HNC-0330', format('an idempotency key has %s bytes', octet_length(idempotency_key)), 'give it 1 to 255 bytes');
  end if;
  perform hence.hold(array[wish ->> 'entity']);
  select e.id into about from hence.entity e where e.key = wish ->> 'entity';
  id := nextval('hence.wish_id_seq');
  if kept_key is not null then
    insert into hence.accepted_key (key, wish, entity, body_hash, accepted_at) values (kept_key, id, about, hash, hence.clock())
      on conflict do nothing;
    if not found then
      select k.key, k.wish, k.entity, k.body_hash, k.accepted_at into known from hence.accepted_key k where k.key = kept_key;
      if known.body_hash is distinct from hash then
        perform hence.refuse('HNC-0307', format('the key `%s` was used for something else', left(idempotency_key, 80)),
          'use a key for one thing only');
      end if;
      return known.wish;
    end if;
  end if;
  insert into hence.wish (id, entity, at, actor, body) overriding system value values (id, about, told_at, hence.teller(), body);
  return id;
end $function$


CREATE OR REPLACE FUNCTION hence.allow_fake_now_v1(is_allowed boolean)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  update hence.allowed set is_fake_now = is_allowed where id = 1
$function$


CREATE OR REPLACE FUNCTION hence.attach_v1(source regclass, timeline text, entity_type text DEFAULT NULL::text, id_column text DEFAULT 'id'::text, given jsonb DEFAULT '{}'::jsonb, facts jsonb DEFAULT '{}'::jsonb, enrol_when text DEFAULT 'true'::text, events jsonb DEFAULT '{}'::jsonb, on_delete text DEFAULT NULL::text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  place record;
  about text;
  facts_of text;
  enrol text;
  changed text;
  name text;
  condition text;
  told record;
  body constant text := $body$declare
  batch jsonb[];
begin
  for batch in select array_agg(b.wish order by b.place) from (
    select w.wish, row_number() over () as place, (row_number() over () - 1) / 1000 as part from (
%s) as w (wish)) as b group by b.part order by b.part
  loop
    perform hence.tell_v1(batch, only_known => true);
  end loop;
  return null;
end$body$;
begin
  select c.relname as name, n.nspname as schema into place from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = source;
  if hence.name_problem('type', coalesce(entity_type, place.name)) is not null then
    perform hence.refuse('HNC-0330', hence.name_problem('the type of the entity', coalesce(entity_type, place.name)),
      'say by `entity_type` what the rows are');
  end if;
  perform hence.expect_timeline(timeline);
  about := format('%L || r.%I', coalesce(entity_type, place.name) || '/', id_column);
  select coalesce(format('jsonb_build_object(%s)', string_agg(format('%L, %s', g.key, hence.object_of(g.value)), ', ' order by g.key)),
    '''{}''::jsonb') into facts_of from jsonb_each(facts) as g (key, value);
  enrol := format('jsonb_build_object(''wish'', ''enrol'', ''timeline'', %L::text, ''entity'', %s, ''given'', %s, ''facts'', %s)', timeline,
    about, case when given = '{}' then '''{}''::jsonb' else format('jsonb_strip_nulls(%s)', hence.object_of(given)) end, facts_of);
  changed := format('select %s where %s is true and %s is not true', hence.over(enrol, 'n'), hence.over(enrol_when, 'n'),
    hence.over(enrol_when, 'o'));
  if facts <> '{}' then
    changed := changed || format(E'\nunion all select %s where %s is distinct from %s', hence.over(format(
      'jsonb_build_object(''wish'', ''put_facts'', ''entity'', %s, ''facts'', %s)', about, facts_of), 'n'),
      hence.over(facts_of, 'n'), hence.over(facts_of, 'o'));
  end if;
  for name, condition in select e.key, e.value from jsonb_each_text(events) as e (key, value) loop
    changed := changed || format(E'\nunion all select %s where %s is true and %s is not true', hence.over(format(
      'jsonb_build_object(''wish'', ''event'', ''entity'', %s, ''name'', %L::text)', about, name), 'n'),
      hence.over(condition, 'n'), hence.over(condition, 'o'));
  end loop;
  perform hence.detach_v1(source, timeline);
  perform set_config('search_path', format('pg_catalog, %I, pg_temp', place.schema), true);
  for told in select k.event, k.tables, k.wishes, left(format('hence_%s_%s_%s', k.event, place.name, timeline), 63) as calls from (values
    ('insert', 'new table as new_rows', format('select %s from new_rows as r where (%s) is true', enrol, enrol_when)),
    ('update', 'old table as old_rows new table as new_rows', format(
      'select w.wish from new_rows as n join old_rows as o on o.%I = n.%1$I cross join lateral (%s) as w (wish)', id_column, changed)),
    ('delete', 'old table as old_rows', format('select jsonb_build_object(''entity'', %s) || %L::jsonb from old_rows as r', about,
      case on_delete when 'erase' then '{"wish": "erase"}' else jsonb_build_object('wish', 'event', 'name', on_delete)::text end)))
    as k (event, tables, wishes) where k.event <> 'delete' or on_delete is not null
  loop
    -- Looked at once over no rows, so that what is wrong in it is said now and not by the first insert.
    execute format('with new_rows as (select n.* from %s as n limit 0), old_rows as (select n.* from %1$s as n limit 0) %s',
      source, told.wishes);
    execute format('create function %1$I.%2$I() returns trigger language plpgsql security definer '
      'set search_path = pg_catalog, %1$I, pg_temp set jit = off as %3$L', place.schema, told.calls, format(body, told.wishes));
    execute format('revoke execute on function %I.%I() from public', place.schema, told.calls);
    execute format('create trigger %I after %s on %s referencing %s for each statement execute function %I.%I()',
      left(format('hence_%s_%s', told.event, timeline), 63), told.event, source, told.tables, place.schema, told.calls);
  end loop;
end $function$


CREATE OR REPLACE FUNCTION hence.cancel_v1(entity text, step text, timeline text DEFAULT NULL::text, reason text DEFAULT ''::text, OUT answer text, OUT attempt bigint)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  select o.answer, o.attempt into answer, attempt from hence.operate(jsonb_build_object('wish', 'cancel', 'entity', entity,
    'timeline', timeline, 'step', step, 'text', reason), 'cancelled') as o;
end $function$


CREATE OR REPLACE FUNCTION hence.check_entity(entity text)
 RETURNS void
 LANGUAGE plpgsql
 IMMUTABLE
AS $function$
declare
  id constant text := substr(entity, strpos(entity, '/') + 1);
begin
  if entity ~ '^[a-z][a-z0-9_]{0,63}/[^\u0001-\u001f\u007f-\u009f]+$' and octet_length(id) <= 255 then
    return;
  end if;
  perform hence.refuse('HNC-0330', case
    when entity is null then 'the entity is missing'
    when strpos(entity, '/') = 0 then format('the entity `%s` has no type', left(entity, 80))
    when hence.name_problem('type', split_part(entity, '/', 1)) is not null
      then hence.name_problem('the type of the entity', split_part(entity, '/', 1))
    when octet_length(id) > 255 then format('the id of the entity has %s bytes, and 255 can be kept', octet_length(id))
    when id = '' then 'the id of the entity is empty'
    else 'the id of the entity holds a control character' end, 'write it `type/id`, such as `account/42`');
end $function$


CREATE OR REPLACE FUNCTION hence.check_timelines(wishes jsonb[])
 RETURNS void
 LANGUAGE plpgsql
 STABLE
AS $function$
declare
  unknown text;
begin
  select min(n.timeline) into unknown from (select distinct w ->> 'timeline' from unnest(wishes) as w where w ->> 'wish' = 'enrol')
    as n (timeline) where not exists (select 1 from hence.definition d where d.name = n.timeline);
  if unknown is not null then
    perform hence.refuse('HNC-0301', format('the timeline `%s` is not defined', left(unknown, 80)), coalesce(
      (select 'defined are: ' || string_agg(distinct d.name, ', ') from hence.definition d), 'an engine that has the definitions must have run'));
  end if;
end $function$


CREATE OR REPLACE FUNCTION hence.clock()
 RETURNS bigint
 LANGUAGE sql
 PARALLEL SAFE
AS $function$
  select coalesce((select s.clock_now from hence.store s where s.id = 1), (extract(epoch from clock_timestamp()) * 1000000)::bigint)
$function$


CREATE OR REPLACE FUNCTION hence.detach_v1(source regclass, timeline text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  found record;
begin
  for found in select t.tgname as name, t.tgfoid::regprocedure as calls from pg_trigger t where t.tgrelid = source
    and t.tgname in (select left(format('hence_%s_%s', k, timeline), 63) from unnest(array['insert', 'update', 'delete']) as k)
  loop
    execute format('drop trigger %I on %s', found.name, source);
    execute format('drop function %s', found.calls);
  end loop;
end $function$


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
    where i.inhparent = 'hence.record'::regclass order by c.relname
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


CREATE OR REPLACE FUNCTION hence.enrol_v1(timeline text, entity text, given jsonb DEFAULT '{}'::jsonb, facts jsonb DEFAULT '{}'::jsonb, at timestamp with time zone DEFAULT NULL::timestamp with time zone, idempotency_key text DEFAULT NULL::text)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return hence.accept_one(jsonb_build_object('wish', 'enrol', 'timeline', timeline, 'entity', entity,
    'given', given, 'facts', facts), at, idempotency_key);
end $function$


CREATE OR REPLACE FUNCTION hence.erase_v1(entity text)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return hence.accept_one(jsonb_build_object('wish', 'erase', 'entity', entity), null, null);
end $function$


CREATE OR REPLACE FUNCTION hence.event_v1(entity text, name text, data jsonb DEFAULT NULL::jsonb, facts jsonb DEFAULT NULL::jsonb, at timestamp with time zone DEFAULT NULL::timestamp with time zone, idempotency_key text DEFAULT NULL::text)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return hence.accept_one(jsonb_build_object('wish', 'event', 'entity', entity, 'name', name, 'data', data, 'facts', facts),
    at, idempotency_key);
end $function$


CREATE OR REPLACE FUNCTION hence.expect_timeline(timeline text)
 RETURNS void
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform hence.check_timelines(array[jsonb_build_object('wish', 'enrol', 'timeline', timeline)]);
end $function$


CREATE OR REPLACE FUNCTION hence.grant_v1(grantee regrole, kind text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  execute format('grant usage on schema hence to %s', grantee);
  case kind
    when 'producer' then
      execute format('grant execute on function hence.enrol_v1, hence.event_v1, hence.put_facts_v1, hence.schedule_v1, hence.cancel_v1, '
        'hence.reschedule_v1, hence.erase_v1, hence.tell_v1, hence.now_v1, hence.attach_v1, hence.detach_v1, hence.expect_timeline, '
        'hence.name_problem, hence.object_of, hence.over, hence.refuse to %s', grantee);
    when 'reader' then
      execute format('grant select on hence.upcoming, hence.history, hence.timeline to %s', grantee);
    when 'engine' then
      execute format('grant select, insert, update, delete on all tables in schema hence to %s', grantee);
      execute format('revoke all on hence.allowed, hence.migration from %s', grantee);
      execute format('grant select on hence.migration to %s', grantee);
      execute format('grant usage, select on all sequences in schema hence to %s', grantee);
      execute format('grant execute on function hence.clock, hence.make_history, hence.drop_empty_history, hence.told_of to %s', grantee);
    else
      perform hence.refuse('HNC-0330', format('`%s` is nothing that a role can be', left(kind, 80)), 'say producer, reader or engine');
  end case;
end $function$


CREATE OR REPLACE FUNCTION hence.hold(wanted text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET jit TO 'off'
AS $function$
declare
  missing text[];
  made bigint;
begin
  for tries in 1 .. 20 loop
    perform e.id from hence.entity e where e.key = any(wanted) order by e.id for key share;
    missing := array(select distinct n.key collate "C" from unnest(wanted) as n (key)
      where not exists (select 1 from hence.entity e where e.key = n.key) order by 1);
    if cardinality(missing) = 0 then
      return;
    end if;
    insert into hence.entity (key, shard, version, idle_since)
      select n.key, ('x' || left(encode(sha256(convert_to(n.key, 'UTF8')), 'hex'), 8))::bit(32)::bigint % s.shards, 0, hence.clock()
      from unnest(missing) with ordinality as n (key, place) cross join hence.store s order by n.place
      on conflict do nothing;
    get diagnostics made = row_count;
    if made = cardinality(missing) then
      return;
    end if;
    -- Others made some of them meanwhile: they are held in the next round.
  end loop;
  perform hence.refuse('HNC-0328', 'entities that are told of are being forgotten at the same time', 'begin the transaction again');
end $function$


CREATE OR REPLACE FUNCTION hence.instant(micros bigint)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$
  select case when micros < -210866803200000000 then timestamptz '-infinity'
    else timestamptz 'epoch' + (micros / 1000000) * interval '1 second' + (micros % 1000000) * interval '1 microsecond' end
$function$


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
    execute format('create table hence.%I (like hence.record including defaults)', part);
    execute format('alter table hence.record attach partition hence.%I for values from (%s) to (%s)', part, number * span,
      (number + 1) * span);
  end if;
end $function$


CREATE OR REPLACE FUNCTION hence.name_problem(what text, name text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case when name ~ '^[a-z][a-z0-9_]{0,63}$' then null
    when name is null then what || ' is missing'
    else what || ' `' || left(name, 80) || '` is no name: a lower-case letter, then lower-case letters, digits and `_`, 64 at most' end
$function$


CREATE OR REPLACE FUNCTION hence.now_v1()
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  fake constant text := current_setting('hence.fake_now', true);
begin
  if fake is null or fake = '' then
    return hence.instant(hence.clock());
  end if;
  if not (select a.is_fake_now from hence.allowed a) then
    perform hence.refuse('HNC-0336', 'the session sets `hence.fake_now`, which this database does not allow',
      'reset it; a database for tests allows it by `select hence.allow_fake_now_v1(true)`, called by the owner of the schema');
  end if;
  return fake::timestamptz;
end $function$


CREATE OR REPLACE FUNCTION hence.object_of(columns jsonb)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  pairs text;
begin
  if jsonb_typeof(columns) = 'array' then
    select string_agg(format('%L, to_jsonb(r.%I)', c, c), ', ' order by place) into pairs
      from jsonb_array_elements_text(columns) with ordinality as c (c, place);
  elsif jsonb_typeof(columns) = 'object' then
    select string_agg(format('%L, to_jsonb(r.%I)', f, c), ', ' order by f) into pairs from jsonb_each_text(columns) as c (f, c);
  else
    perform hence.refuse('HNC-0330', 'columns are neither a JSON array nor an object', 'write ["email"] or {"email": "email_address"}');
  end if;
  return format('jsonb_build_object(%s)', pairs);
end $function$


CREATE OR REPLACE FUNCTION hence.operate(wish jsonb, done text, OUT answer text, OUT attempt bigint)
 RETURNS record
 LANGUAGE plpgsql
AS $function$
declare
  of_step constant text := wish ->> 'step';
  of_timeline constant text := coalesce(wish ->> 'timeline', '');
  about bigint;
  is_waiting boolean;
  is_told boolean;
begin
  perform hence.read_wish(wish);
  select e.id into about from hence.entity e where e.key = wish ->> 'entity' for key share;
  select max(l.attempt) filter (where l.state in (1, 3)), coalesce(bool_or(l.state in (0, 2)), false) into attempt, is_waiting
    from hence.live l join hence.body b on b.id = l.id join hence.step s on s.id = l.step
    where l.entity = about and s.timeline = of_timeline and coalesce(b.key, s.name) = of_step;
  is_told := exists (select 1 from hence.wish w where w.entity = about);
  if attempt is not null then
    answer := 'running';
  elsif is_waiting and current_setting('transaction_isolation') = 'read committed' then
    answer := done;
  elsif is_waiting or is_told then
    answer := 'accepted';
  elsif exists (select 1 from hence.record h join hence.step s on s.id = h.step
    where h.entity = about and s.timeline = of_timeline and coalesce(h.key, s.name) = of_step) then
    answer := 'ended';
  else
    answer := 'nothing';
  end if;
  if answer not in ('ended', 'nothing') then
    perform hence.accept_one(wish, null, null);
  end if;
end $function$


CREATE OR REPLACE FUNCTION hence.over(expression text, row_name text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select format('(select (%s) from (select %s.*) as r)', expression, row_name)
$function$


CREATE OR REPLACE FUNCTION hence.put_facts_v1(entity text, facts jsonb, at timestamp with time zone DEFAULT NULL::timestamp with time zone, idempotency_key text DEFAULT NULL::text)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return hence.accept_one(jsonb_build_object('wish', 'put_facts', 'entity', entity, 'facts', facts), at, idempotency_key);
end $function$


CREATE OR REPLACE FUNCTION hence.read_wish(wish jsonb)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
AS $function$
declare
  kind constant text := wish ->> 'wish';
  known text[];
  problem text;
  kept jsonb := wish;
  bytes bigint;
begin
  if jsonb_typeof(wish) is distinct from 'object' then
    perform hence.refuse('HNC-0330', 'a wish is no JSON object', 'write it like {"wish": "event", "entity": "account/42", …}');
  end if;
  perform hence.check_entity(wish ->> 'entity');
  case kind
    when 'enrol' then
      known := array['timeline', 'given', 'facts'];
      problem := hence.name_problem('the timeline', wish ->> 'timeline');
      kept := kept || jsonb_build_object('given', hence.written_given(wish -> 'given'));
    when 'event' then
      known := array['name', 'data', 'facts'];
      if (wish ->> 'name') ~ '^[a-z][a-z0-9_]{0,63}(\.[a-z][a-z0-9_]{0,63})*$' is not true or octet_length(wish ->> 'name') > 128 then
        problem := format('the event `%s` is no name: lower-case words joined by dots, such as `account.paid`, 128 bytes at most',
          left(coalesce(wish ->> 'name', ''), 80));
      elsif jsonb_typeof(wish -> 'data') not in ('object', 'null') then
        problem := 'what the event carries is no JSON object';
      end if;
    when 'put_facts' then
      known := array['facts'];
      if jsonb_typeof(wish -> 'facts') is distinct from 'object' then
        problem := 'the facts are missing';
      end if;
    when 'schedule' then
      known := array['key', 'due_at', 'action'];
      problem := hence.name_problem('the key', wish ->> 'key');
      if jsonb_typeof(wish -> 'action') is distinct from 'object' then
        problem := 'the action is no JSON object, such as {"webhook": "app", "path": "/call"}';
      end if;
      kept := kept || jsonb_build_object('due_at', hence.written('the due instant', (wish ->> 'due_at')::timestamptz));
    when 'cancel' then
      known := array['timeline', 'step', 'text'];
      problem := hence.name_problem('the step', wish ->> 'step');
    when 'reschedule' then
      known := array['timeline', 'step', 'text', 'due_at'];
      problem := hence.name_problem('the step', wish ->> 'step');
      kept := kept || jsonb_build_object('due_at', hence.written('the due instant', (wish ->> 'due_at')::timestamptz));
    when 'erase' then
      known := array[]::text[];
    else
      problem := format('`%s` is no wish', left(coalesce(kind, ''), 80));
  end case;
  if problem is null and kind in ('cancel', 'reschedule') then
    if jsonb_typeof(wish -> 'timeline') <> 'null' then
      problem := hence.name_problem('the timeline', wish ->> 'timeline');
    end if;
    kept := kept || jsonb_build_object('text', coalesce(wish ->> 'text', ''));
  end if;
  if problem is null and wish - known - array['wish', 'entity'] <> '{}' then
    problem := format('a wish `%s` has no `%s`', kind, (select min(u) from jsonb_object_keys(wish - known - array['wish', 'entity']) as u));
  end if;
  if problem is not null then
    perform hence.refuse('HNC-0330', problem, 'docs/reference/sql.md shows what each function takes');
  end if;
  if jsonb_typeof(wish -> 'facts') not in ('object', 'null')
    or jsonb_path_exists(wish, 'strict $.facts.* ? (@.type() != "object")', '{}', true) then
    perform hence.refuse('HNC-0303', 'the facts are no JSON object of objects', 'write them like {"account": {"paid_at": null}}');
  end if;
  bytes := octet_length(kept::text);
  if bytes > 262144 then
    perform hence.refuse('HNC-0330', format('what is told has %s bytes, and 262144 can be kept', bytes), 'tell where it is to be found');
  end if;
  -- What is shorter cannot hold them.
  if bytes > 128 and jsonb_path_exists(wish, '$.**{64}') then
    perform hence.refuse('HNC-0330', 'what is told is nested deeper than 64 levels', 'tell what conditions and receivers need');
  end if;
  if bytes > 308 and jsonb_path_exists(wish, '$.** ? (@.type() == "number" && (@ > 1.7e308 || @ < -1.7e308))') then
    perform hence.refuse('HNC-0330', 'what is told holds a number that no receiver can read', 'write it as a text');
  end if;
  return kept::text;
end $function$


CREATE OR REPLACE FUNCTION hence.refuse(code text, problem text, help text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  raise exception using errcode = 'N' || right(code, 4), message = problem, detail = code,
    hint = help || ' (`hence explain ' || code || '` says more)';
end $function$


CREATE OR REPLACE FUNCTION hence.reschedule_v1(entity text, step text, due_at timestamp with time zone, timeline text DEFAULT NULL::text, reason text DEFAULT ''::text, OUT answer text, OUT attempt bigint)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  select o.answer, o.attempt into answer, attempt from hence.operate(jsonb_build_object('wish', 'reschedule', 'entity', entity,
    'timeline', timeline, 'step', step, 'due_at', due_at, 'text', reason), 'moved') as o;
end $function$


CREATE OR REPLACE FUNCTION hence.schedule_v1(entity text, key text, due_at timestamp with time zone, action jsonb, idempotency_key text DEFAULT NULL::text)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return hence.accept_one(jsonb_build_object('wish', 'schedule', 'entity', entity, 'key', key, 'due_at', due_at, 'action', action),
    null, idempotency_key);
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


CREATE OR REPLACE FUNCTION hence.tell_v1(wishes jsonb[], at timestamp with time zone DEFAULT NULL::timestamp with time zone, only_known boolean DEFAULT false)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if cardinality(wishes) > 10000 then
    perform hence.refuse('HNC-0328', format('%s wishes cannot be told at once', cardinality(wishes)), 'tell 10000 at most in each call');
  end if;
  return hence.accept_all(wishes, hence.told_at(at), only_known);
end $function$


CREATE OR REPLACE FUNCTION hence.teller()
 RETURNS text
 LANGUAGE sql
 STABLE
AS $function$ select 'sql:' || session_user $function$


CREATE OR REPLACE FUNCTION hence.told_at(at timestamp with time zone)
 RETURNS bigint
 LANGUAGE plpgsql
AS $function$
begin
  if at is null then
    return (extract(epoch from hence.now_v1()) * 1000000)::bigint;
  end if;
  perform hence.written('when it happened', at);
  return (extract(epoch from at) * 1000000)::bigint;
end $function$


CREATE OR REPLACE FUNCTION hence.told_of(entities bigint[])
 RETURNS SETOF bigint
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if entities is not null then
    return query select distinct w.entity from hence.wish w where w.entity = any(entities);
  end if;
end $function$


CREATE OR REPLACE FUNCTION hence.written(what text, at timestamp with time zone)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
AS $function$
begin
  if at is null or at < '0001-01-01T00:00Z' or at > '9999-12-30T00:00Z' then
    perform hence.refuse('HNC-0330', format('%s is %s', what, coalesce('the instant ' || at, 'missing')),
      'give an instant of the years 1 to 9999');
  end if;
  return to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
end $function$


CREATE OR REPLACE FUNCTION hence.written_given(given jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
AS $function$
declare
  name text;
  value text;
  kept jsonb := '{}';
begin
  if given is null or given = 'null' then
    return kept;
  end if;
  if jsonb_typeof(given) <> 'object' then
    perform hence.refuse('HNC-0330', 'the given instants are no JSON object', 'write them like {"created_at": "2026-03-02T09:00:00Z"}');
  end if;
  for name, value in select g.key, g.value from jsonb_each_text(given) as g (key, value) loop
    if hence.name_problem('instant', name) is not null then
      perform hence.refuse('HNC-0330', hence.name_problem('the given instant', name), 'name it as the definition does');
    end if;
    if value ~ '^[0-9]{1,4}-[0-9]{1,2}-[0-9]{1,2}' is not true then
      perform hence.refuse('HNC-0330', format('the given instant `%s` is `%s`', name, left(value, 80)),
        'write it like 2026-03-02T09:00:00Z');
    end if;
    kept := kept || jsonb_build_object(name, hence.written('the given instant', value::timestamptz));
  end loop;
  return kept;
end $function$


CREATE TRIGGER entity_deleted AFTER DELETE ON hence.entity REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tally_rows('entities', '-1')

CREATE TRIGGER entity_inserted AFTER INSERT ON hence.entity REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tally_rows('entities', '1')

CREATE TRIGGER wish_deleted AFTER DELETE ON hence.wish REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tally_rows('wishes', '-1')

CREATE TRIGGER wish_inserted AFTER INSERT ON hence.wish REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tally_rows('wishes', '1')
