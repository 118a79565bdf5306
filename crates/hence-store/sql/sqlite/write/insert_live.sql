-- Makes a task wait. Called by write. ?1 id, ?2 wake_at, ?3 due_at, ?4 entity, ?5 step, ?6 attempt, ?7 takeovers, ?8 flags.
insert into hence_live (id, wake_at, due_at, entity, step, state, fence, attempt, takeovers, flags)
values (?1, ?2, ?3, ?4, ?5, 0, 0, ?6, ?7, ?8);
