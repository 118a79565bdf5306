-- Keeps what a task is made with; gives nothing back when there is one for the same number or occurrence. Called by write. ?1
-- id, ?2 timeline, ?3 step, ?4 ad-hoc key, ?5 occurrence, ?6 created_at, ?7 entity, ?8 reason, ?9 action.
insert into hence_body (id, timeline, step, key, occurrence, created_at, entity, reason, action)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) on conflict do nothing;
