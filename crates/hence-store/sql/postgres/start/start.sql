-- Starts due tasks that are the first of their entity, under the lease, and gives them. Called by start. Index live_wake; live_entity and
-- wish_entity for what blocks. The database's clock has the last word on what is due; whoever holds a row is not waited for, and
-- so a task is passed by while a transaction that tells of its entity is open; what was told until the entity's row was taken is
-- looked at once more (`hence.told_of`); the fence is taken for rows that are started only. $1 node, $2 shards, $3 their epochs, $4 from,
-- $5 to, $6 limit, $7 now, $8 steps that are left out, as timeline/step.
with owned as materialized (
  select s.shard, s.epoch from hence.shard s
  where s.node = $1::text and exists (select 1 from unnest($2::smallint[], $3::bigint[]) as n (shard, epoch)
    where n.shard = s.shard and n.epoch = s.epoch)
  order by s.shard for share),
due as materialized (
  select l.id, l.wake_at, l.entity from hence.live l join hence.entity e on e.id = l.entity
  where not l.is_parked and l.wake_at >= $4::bigint and l.wake_at <= least($5::bigint, (select hence.clock()))
    and l.state = 0 and l.shard in (select o.shard from owned o)
    and not exists (select 1 from hence.live o where o.entity = l.entity
      and (o.state in (1, 3) or (o.state = 0 and (o.wake_at, o.id) < (l.wake_at, l.id))))
    and not exists (select 1 from hence.wish w where w.entity = l.entity)
    and not exists (select 1 from hence.step s where s.id = l.step and s.timeline || '/' || s.name = any($8::text[]))
  order by l.wake_at, l.id limit $6::bigint for update of l, e skip locked),
told as materialized (select t.entity from hence.told_of((select array_agg(d.entity) from due d)) as t (entity)),
numbered as materialized (
  select d.id, nextval('hence.fence') as fence from due d
  where d.entity not in (select t.entity from told t) order by d.wake_at, d.id),
started as (
  update hence.live l set state = 1, fence = n.fence, started_at = $7::bigint, attempt = l.attempt + 1
  from numbered n where l.id = n.id and l.state = 0 and l.fence < n.fence
  returning l.id, l.entity, l.step, l.due_at, l.wake_at, l.state, l.fence, l.started_at, l.attempt, l.takeovers, l.flags),
tallied as (
  insert into hence.tally_change (name, added)
  select t.name, t.sign * n.count from (select count(*) as count from started) n
  cross join (values ('live.scheduled', -1), ('live.running', 1)) as t (name, sign) where n.count > 0)
select l.id, b.timeline, e.key, coalesce(b.key, s.name), b.occurrence, l.due_at, l.wake_at, l.state, l.fence, l.started_at,
  l.attempt, l.takeovers, l.flags, b.created_at, b.reason, b.action
from started l
  join hence.body b on b.id = l.id join hence.entity e on e.id = l.entity join hence.step s on s.id = l.step
order by l.wake_at, l.id;
