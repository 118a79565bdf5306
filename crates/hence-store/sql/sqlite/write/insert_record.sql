-- One record of history. Called by write and erase. ?1 written_at, ?2 at, ?3 kind, ?4 entity, ?5 timeline, ?6 task, ?7 step, ?8
-- ad-hoc key, ?9 occurrence, ?10 due_at, ?11 started_at, ?12 fence, ?13 attempt, ?14 outcome, ?15 reason.
insert into hence_history (written_at, at, kind, entity, timeline, task, step, key, occurrence, due_at, started_at, fence, attempt,
  outcome, reason)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15);
