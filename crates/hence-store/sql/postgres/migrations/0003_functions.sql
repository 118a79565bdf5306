-- What programs in any language call within their own transactions (docs/reference/sql.md). They put wishes into the inbox, as
-- `accept` does, and leave planning to the engine. All of it is written with the rights of the schema's owner (security definer, a search
-- path that nobody else can change, no statement built from arguments). Functions without a version are private, and
-- are called under the search path of those that have one.

-- The names `history` and `timeline` are those of views that programs read.
alter table hence.history rename to record;
alter table hence.timeline rename to run;

-- Makes the part of history with that number (written_at / 30 days) unless it is there.
create or replace function hence.make_history(number bigint) returns void language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
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
end $$;

-- Drops the parts of history that end before an instant and hold nothing any more; how many.
create or replace function hence.drop_empty_history(before bigint) returns bigint language plpgsql security definer
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
end $$;

-- Which of these entities the inbox holds wishes about, now: a volatile function looks with a snapshot of its own, so that it sees what
-- was committed after the statement began that calls it. Called by start once it has taken the entities' rows.
create function hence.told_of(entities bigint[]) returns setof bigint language plpgsql volatile
set search_path = pg_catalog, pg_temp as $$
begin
  if entities is not null then
    return query select distinct w.entity from hence.wish w where w.entity = any(entities);
  end if;
end $$;

-- An instant of a row as a value of PostgreSQL. What lies before its range is minus infinity.
create function hence.instant(micros bigint) returns timestamptz language sql stable parallel safe as $$
  select case when micros < -210866803200000000 then timestamptz '-infinity'
    else timestamptz 'epoch' + (micros / 1000000) * interval '1 second' + (micros % 1000000) * interval '1 microsecond' end
$$;

-- Ends the call with a code of Hence: HNC-0330 is the SQLSTATE N0330, and stands in DETAIL too.
create function hence.refuse(code text, problem text, help text) returns void language plpgsql volatile as $$
begin
  raise exception using errcode = 'N' || right(code, 4), message = problem, detail = code,
    hint = help || ' (`hence explain ' || code || '` says more)';
end $$;

-- What is wrong with a name; null when nothing is.
create function hence.name_problem(what text, name text) returns text language sql immutable parallel safe as $$
  select case when name ~ '^[a-z][a-z0-9_]{0,63}$' then null
    when name is null then what || ' is missing'
    else what || ' `' || left(name, 80) || '` is no name: a lower-case letter, then lower-case letters, digits and `_`, 64 at most' end
$$;

-- An instant as it is kept in wishes.
create function hence.written(what text, at timestamptz) returns text language plpgsql stable as $$
begin
  if at is null or at < '0001-01-01T00:00Z' or at > '9999-12-30T00:00Z' then
    perform hence.refuse('HNC-0330', format('%s is %s', what, coalesce('the instant ' || at, 'missing')),
      'give an instant of the years 1 to 9999');
  end if;
  return to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
end $$;

-- Named instants as they are kept in wishes.
create function hence.written_given(given jsonb) returns jsonb language plpgsql stable as $$
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
end $$;

-- Refuses an entity that is not written as it should be.
create function hence.check_entity(entity text) returns void language plpgsql immutable as $$
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
end $$;

-- A wish as it is kept in the inbox, or the end of the call. What only the definition can tell is found when it is carried out.
create function hence.read_wish(wish jsonb) returns text language plpgsql stable as $$
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
    perform hence.refuse('HNC-0314', format('what is told has %s bytes, and 262144 can be kept', bytes), 'tell where it is to be found');
  end if;
  -- What is shorter cannot hold them.
  if bytes > 128 and jsonb_path_exists(wish, '$.**{64}') then
    perform hence.refuse('HNC-0330', 'what is told is nested deeper than 64 levels', 'tell what conditions and receivers need');
  end if;
  if bytes > 308 and jsonb_path_exists(wish, '$.** ? (@.type() == "number" && (@ > 1.7e308 || @ < -1.7e308))') then
    perform hence.refuse('HNC-0330', 'what is told holds a number that no receiver can read', 'write it as a text');
  end if;
  return kept::text;
end $$;

-- What time it is for what is told: the session's clock where that is allowed and set, else that of the store.
create function hence.now_v1() returns timestamptz language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp as $$
begin
  return hence.instant(hence.clock());
end $$;

-- When something that is told happened, in microseconds.
create function hence.told_at(at timestamptz) returns bigint language plpgsql volatile as $$
begin
  if at is null then
    return (extract(epoch from hence.now_v1()) * 1000000)::bigint;
  end if;
  perform hence.written('when it happened', at);
  return (extract(epoch from at) * 1000000)::bigint;
end $$;

-- Sees to it that there are rows of these entities, and holds them until the transaction ends: none is forgotten meanwhile, and no task
-- of them starts. Rows are held and made in a fixed order, so that two that tell of the same entities in one call do not wait for each other.
create function hence.hold(wanted text[]) returns void language plpgsql volatile
set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
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
end $$;

-- Refuses timelines that are not defined.
create function hence.check_timelines(wishes jsonb[]) returns void language plpgsql stable as $$
declare
  unknown text;
begin
  select min(n.timeline) into unknown from (select distinct w ->> 'timeline' from unnest(wishes) as w where w ->> 'wish' = 'enrol')
    as n (timeline) where not exists (select 1 from hence.definition d where d.name = n.timeline);
  if unknown is not null then
    perform hence.refuse('HNC-0301', format('the timeline `%s` is not defined', left(unknown, 80)), coalesce(
      (select 'defined are: ' || string_agg(distinct d.name, ', ') from hence.definition d), 'an engine that has the definitions must have run'));
  end if;
end $$;

-- Who tells.
create function hence.teller() returns text language sql stable as $$ select 'sql:' || session_user $$;

-- Accepts wishes; how many. Where only known entities are asked for, a wish about another one is passed over unless it follows one that
-- enrols it.
create function hence.accept_all(wanted jsonb[], told_at bigint, only_known boolean) returns bigint language plpgsql volatile
set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
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
end $$;

-- Accepts one wish; its number, or that of the same wish that was accepted before under the key.
create function hence.accept_one(wish jsonb, at timestamptz, idempotency_key text) returns bigint language plpgsql volatile as $$
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
end $$;

create function hence.enrol_v1(timeline text, entity text, given jsonb default '{}', facts jsonb default '{}',
  at timestamptz default null, idempotency_key text default null) returns bigint language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp as $$
begin
  return hence.accept_one(jsonb_build_object('wish', 'enrol', 'timeline', timeline, 'entity', entity,
    'given', given, 'facts', facts), at, idempotency_key);
end $$;

create function hence.event_v1(entity text, name text, data jsonb default null, facts jsonb default null,
  at timestamptz default null, idempotency_key text default null) returns bigint language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp as $$
begin
  return hence.accept_one(jsonb_build_object('wish', 'event', 'entity', entity, 'name', name, 'data', data, 'facts', facts),
    at, idempotency_key);
end $$;

create function hence.put_facts_v1(entity text, facts jsonb, at timestamptz default null, idempotency_key text default null)
returns bigint language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return hence.accept_one(jsonb_build_object('wish', 'put_facts', 'entity', entity, 'facts', facts), at, idempotency_key);
end $$;

create function hence.schedule_v1(entity text, key text, due_at timestamptz, action jsonb, idempotency_key text default null)
returns bigint language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return hence.accept_one(jsonb_build_object('wish', 'schedule', 'entity', entity, 'key', key, 'due_at', due_at, 'action', action),
    null, idempotency_key);
end $$;

create function hence.erase_v1(entity text) returns bigint language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp as $$
begin
  return hence.accept_one(jsonb_build_object('wish', 'erase', 'entity', entity), null, null);
end $$;

create function hence.tell_v1(wishes jsonb[], at timestamptz default null, only_known boolean default false) returns bigint language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp as $$
begin
  if cardinality(wishes) > 10000 then
    perform hence.refuse('HNC-0328', format('%s wishes cannot be told at once', cardinality(wishes)), 'tell 10000 at most in each call');
  end if;
  return hence.accept_all(wishes, hence.told_at(at), only_known);
end $$;

-- What an operation on a step's tasks comes to, looked at once their entity is held: from then on none of them starts. Accepts the wish
-- unless there is nothing that it could change.
create function hence.operate(wish jsonb, done text, out answer text, out attempt bigint) language plpgsql volatile as $$
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
end $$;

create function hence.cancel_v1(entity text, step text, timeline text default null, reason text default '',
  out answer text, out attempt bigint) language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  select o.answer, o.attempt into answer, attempt from hence.operate(jsonb_build_object('wish', 'cancel', 'entity', entity,
    'timeline', timeline, 'step', step, 'text', reason), 'cancelled') as o;
end $$;

create function hence.reschedule_v1(entity text, step text, due_at timestamptz, timeline text default null, reason text default '',
  out answer text, out attempt bigint) language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  select o.answer, o.attempt into answer, attempt from hence.operate(jsonb_build_object('wish', 'reschedule', 'entity', entity,
    'timeline', timeline, 'step', step, 'due_at', due_at, 'text', reason), 'moved') as o;
end $$;

comment on function hence.enrol_v1 is 'Enrols an entity in a timeline. `given` holds instants by name, `facts` what is known, by group. Gives the number of the wish.';
comment on function hence.event_v1 is 'Something happened to an entity: the tasks that it cancels do not start any more once the transaction has committed. `data` is an object that the event carries, `facts` what is known now. Gives the number of the wish.';
comment on function hence.put_facts_v1 is 'Facts of an entity changed: an object of objects, by group. Gives the number of the wish.';
comment on function hence.schedule_v1 is 'One task without a definition: `action` happens to the entity at `due_at`. While it waits, the same `key` gives it another instant and another action. Gives the number of the wish.';
comment on function hence.cancel_v1 is 'Cancels the tasks of a step, or without `timeline` the ad-hoc task of that key. Answers `cancelled` (no attempt starts any more), `running` (no attempt after this one), `accepted` (carried out after what was told before), `ended` or `nothing`.';
comment on function hence.reschedule_v1 is 'Gives the waiting tasks of a step, or without `timeline` the ad-hoc task of that key, another instant. Answers `moved`, `running` (that attempt is not changed), `accepted`, `ended` or `nothing`.';
comment on function hence.erase_v1 is 'Erases an entity: nothing is sent for it any more, and what is personal goes. What is told afterwards counts. Gives the number of the wish.';
comment on function hence.tell_v1 is 'Tells many things in one call, up to 10000: each is an object with `wish` (`enrol`, `event`, `put_facts`, `schedule`, `cancel`, `reschedule`, `erase`), `entity` and the arguments of the function of that name. With `only_known` those about entities that were never told of are passed over. Gives how many.';
comment on function hence.now_v1 is 'What time it is for what is told.';

-- Whoever may use the schema may call nothing yet.
revoke execute on all functions in schema hence from public;
