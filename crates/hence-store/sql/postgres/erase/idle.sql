-- Entities with nothing ahead since an instant, held against others; leaves those that somebody else holds. Called by prune. Indexes
-- entity_idle and wish_entity. $1 before, $2 limit.
select e.id from hence.entity e where e.idle_since is not null and e.idle_since < $1::bigint
  and not exists (select 1 from hence.wish w where w.entity = e.id) order by e.idle_since, e.key limit $2::bigint
for update skip locked;
