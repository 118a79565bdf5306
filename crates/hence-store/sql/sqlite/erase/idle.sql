-- Entities with nothing ahead since an instant. Called by prune. Indexes hence_entity_idle and hence_wish_entity. ?1 before, ?2 limit.
select e.id from hence_entity e indexed by hence_entity_idle where e.idle_since is not null and e.idle_since < ?1
  and not exists (select 1 from hence_wish w where w.entity = e.id) order by e.idle_since, e.key limit ?2;
