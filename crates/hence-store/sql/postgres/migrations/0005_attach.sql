-- Triggers on users' own tables (docs/guide/postgresql.md), and who may do what. `attach_v1` acts with the rights of whoever calls it,
-- the owner of the table, and writes functions that belong to that role; conditions are expressions that it wrote itself.

-- Refuses a timeline that is not defined, before a trigger refuses every insert because of it.
create function hence.expect_timeline(timeline text) returns void language plpgsql stable security definer
set search_path = pg_catalog, pg_temp as $$
begin
  perform hence.check_timelines(array[jsonb_build_object('wish', 'enrol', 'timeline', timeline)]);
end $$;

-- The expression that makes an object of columns of `r`: of `["email"]` or of `{"email": "email_address"}`.
create function hence.object_of(columns jsonb) returns text language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
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
end $$;

-- An expression over the row `r`, for the row of that name.
create function hence.over(expression text, row_name text) returns text language sql immutable as $$
  select format('(select (%s) from (select %s.*) as r)', expression, row_name)
$$;

create function hence.detach_v1(source regclass, timeline text) returns void language plpgsql volatile
set search_path = pg_catalog, pg_temp as $$
declare
  found record;
begin
  for found in select t.tgname as name, t.tgfoid::regprocedure as calls from pg_trigger t where t.tgrelid = source
    and t.tgname in (select left(format('hence_%s_%s', k, timeline), 63) from unnest(array['insert', 'update', 'delete']) as k)
  loop
    execute format('drop trigger %I on %s', found.name, source);
    execute format('drop function %s', found.calls);
  end loop;
end $$;

create function hence.attach_v1(source regclass, timeline text, entity_type text default null, id_column text default 'id',
  given jsonb default '{}', facts jsonb default '{}', enrol_when text default 'true', events jsonb default '{}',
  on_delete text default null) returns void language plpgsql volatile set search_path = pg_catalog, pg_temp as $attach$
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
end $attach$;

-- Which sessions may have a clock of their own: none, unless the owner of the schema says so. No other role is granted anything of it.
create table hence.allowed (
  id bigint primary key check (id = 1),
  is_fake_now boolean not null
);
insert into hence.allowed (id, is_fake_now) values (1, false);

create or replace function hence.now_v1() returns timestamptz language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp as $$
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
end $$;

create function hence.allow_fake_now_v1(is_allowed boolean) returns void language sql volatile set search_path = pg_catalog, pg_temp as $$
  update hence.allowed set is_fake_now = is_allowed where id = 1
$$;

-- Gives a role what a program, a reader or an engine needs, and nothing else; to be called again after a migration. Called by the owner.
create function hence.grant_v1(grantee regrole, kind text) returns void language plpgsql volatile
set search_path = pg_catalog, pg_temp as $$
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
end $$;

comment on function hence.attach_v1 is 'Writes triggers on a table: an inserted row enrols its entity, an update tells changed facts and each event whose condition turns true, a delete tells an event or erases. `given` and `facts` name columns, `enrol_when` and the values of `events` are conditions over a row. Attaching again replaces.';
comment on function hence.detach_v1 is 'Takes these triggers away; what was told stays.';
comment on function hence.allow_fake_now_v1 is 'Whether sessions may set `hence.fake_now`. For databases of tests; only the owner of the schema may call it.';
comment on function hence.grant_v1 is 'Gives a role what a `producer` (calls the functions), a `reader` (reads the views) or an `engine` needs. Only the owner of the schema may call it; again after each migration.';
comment on function hence.now_v1 is 'What time it is for what is told: the setting `hence.fake_now` of the session where that is allowed, else the clock of the store.';

revoke execute on all functions in schema hence from public;
