-- Notes that something was written about an entity. Called by write and erase. Primary key; indexes hence_live_entity,
-- hence_timeline_entity. ?1 id, ?2 added to the version, ?3 erase_at or null, ?4 now.
update hence_entity set version = version + ?2, erase_at = case when ?3 is null then erase_at else min(coalesce(erase_at, ?3), ?3) end,
  idle_since = case when exists (select 1 from hence_live where entity = ?1)
    or exists (select 1 from hence_timeline where entity = ?1 and status = 0) then null else ?4 end
where id = ?1;
