-- What programs and people may read (docs/reference/sql.md): columns are only ever added at the end. They are read with the rights of the
-- schema's owner, so that a reader needs a grant on the view alone. Reasons are `json`, not `jsonb`, which refuses some texts.

create view hence.upcoming as
select l.id as task, e.key as entity, split_part(e.key, '/', 1) as entity_type, substr(e.key, strpos(e.key, '/') + 1) as entity_id,
  nullif(s.timeline, '') as timeline, coalesce(b.key, s.name) as step, b.occurrence, hence.instant(l.due_at) as due_at,
  hence.instant(l.wake_at) as wakes_at, case l.state when 0 then 'scheduled' when 2 then 'held' else 'running' end as state,
  l.attempt, hence.instant(l.started_at) as started_at, l.state = 3 as is_answer_awaited, l.flags & 2 <> 0 as is_cancel_asked,
  hence.instant(b.created_at) as created_at, b.reason::json as reason, b.action::json as action
from hence.live l join hence.body b on b.id = l.id join hence.entity e on e.id = l.entity join hence.step s on s.id = l.step;

create view hence.history as
select h.seq, hence.instant(h.written_at) as written_at, hence.instant(h.at) as at,
  case h.kind when 0 then 'enrolled' when 1 then 'event' when 2 then 'facts' when 3 then 'ended' when 4 then 'done' when 10 then 'refused'
    when 11 then 'moved' when 12 then 'held' when 13 then 'released' when 14 then 'run_asked' when 15 then 'cancel_asked'
    when 16 then 'retried' when 17 then 'taken_over' when 18 then 'answer_awaited' when 19 then 'late_outcome' when 20 then 'notice'
    when 21 then 'skipped' when 22 then 'cancelled' when 23 then 'expired' when 24 then 'failed' when 25 then 'unknown' end as kind,
  e.key as entity, split_part(e.key, '/', 1) as entity_type, substr(e.key, strpos(e.key, '/') + 1) as entity_id,
  nullif(s.timeline, '') as timeline, h.task, nullif(coalesce(h.key, s.name), '') as step, h.occurrence,
  hence.instant(h.due_at) as due_at, hence.instant(h.started_at) as started_at, h.attempt, h.outcome, h.reason::json as reason
from hence.record h join hence.entity e on e.id = h.entity left join hence.step s on s.id = h.step;

create view hence.timeline as
select r.id as number, r.name as timeline, e.key as entity, split_part(e.key, '/', 1) as entity_type,
  substr(e.key, strpos(e.key, '/') + 1) as entity_id, r.definition, r.run, case r.status when 0 then 'active' else 'ended' end as status,
  hence.instant(r.enrolled_at) as enrolled_at, r.given::json as given, r.facts::json as facts
from hence.run r join hence.entity e on e.id = r.entity;

comment on view hence.upcoming is 'Tasks that are not final. Ask by `entity`, or by `timeline` and `step`, ordered by `due_at`.';
comment on column hence.upcoming.task is 'Its number: 42 for `task_42` of the command line.';
comment on column hence.upcoming.entity is 'Whom it is about, as written: `account/42`.';
comment on column hence.upcoming.entity_type is 'The part before the first `/`.';
comment on column hence.upcoming.entity_id is 'The part behind it.';
comment on column hence.upcoming.timeline is 'The name of its timeline; null for an ad-hoc task.';
comment on column hence.upcoming.step is 'Its step, or the key of an ad-hoc task.';
comment on column hence.upcoming.occurrence is 'Which occurrence of a step that repeats, by its nominal local time; else empty.';
comment on column hence.upcoming.due_at is 'When it is due.';
comment on column hence.upcoming.wakes_at is 'When it is looked at next: `due_at`, or the instant of the next try.';
comment on column hence.upcoming.state is '`scheduled`, `running` or `held`.';
comment on column hence.upcoming.attempt is 'How many attempts were begun.';
comment on column hence.upcoming.started_at is 'When the newest of them began; null before the first.';
comment on column hence.upcoming.is_answer_awaited is 'Whether the receiver said that it answers later.';
comment on column hence.upcoming.is_cancel_asked is 'Whether it was cancelled while it runs: no attempt follows.';
comment on column hence.upcoming.created_at is 'When it was planned.';
comment on column hence.upcoming.reason is 'Why it is there and due then.';
comment on column hence.upcoming.action is 'What an ad-hoc task does; null for others.';

comment on view hence.history is 'What happened, in the order of `seq`. Ask by `entity`.';
comment on column hence.history.seq is 'Its place: rises within an entity.';
comment on column hence.history.written_at is 'When it was written.';
comment on column hence.history.at is 'When it happened, by whoever told it.';
comment on column hence.history.kind is '`enrolled`, `event`, `facts`, `ended`, `refused`, `moved`, `held`, `released`, `run_asked`, `cancel_asked`, `retried`, `taken_over`, `answer_awaited`, `late_outcome`, `notice`; final: `done`, `skipped`, `cancelled`, `expired`, `failed`, `unknown`.';
comment on column hence.history.entity is 'To whom, as written: `account/42`.';
comment on column hence.history.entity_type is 'The part before the first `/`.';
comment on column hence.history.entity_id is 'The part behind it.';
comment on column hence.history.timeline is 'In which timeline; null if in none.';
comment on column hence.history.task is 'To which task; null if to none.';
comment on column hence.history.step is 'The step of that task, or the key of an ad-hoc task.';
comment on column hence.history.occurrence is 'Which occurrence of that step; else empty.';
comment on column hence.history.due_at is 'When that task was due.';
comment on column hence.history.started_at is 'When the attempt that ended was started.';
comment on column hence.history.attempt is 'The number of that attempt; 0 when there was none.';
comment on column hence.history.outcome is 'The word of a final record: `done`, a word that the step says, `skipped`, …';
comment on column hence.history.reason is 'Why.';

comment on view hence.timeline is 'Each enrolment of an entity in a timeline. Ask by `entity`.';
comment on column hence.timeline.number is 'Its number: 42 for `timeline_42` of the command line.';
comment on column hence.timeline.timeline is 'The name of the definition.';
comment on column hence.timeline.entity is 'Who was enrolled, as written: `account/42`.';
comment on column hence.timeline.entity_type is 'The part before the first `/`.';
comment on column hence.timeline.entity_id is 'The part behind it.';
comment on column hence.timeline.definition is 'The version of the definition: its hash.';
comment on column hence.timeline.run is '1 for the first enrolment of the entity in this timeline, and so on.';
comment on column hence.timeline.status is '`active` while anything is ahead, then `ended`.';
comment on column hence.timeline.enrolled_at is 'When it was enrolled.';
comment on column hence.timeline.given is 'Instants that were given, by name.';
comment on column hence.timeline.facts is 'What is known, by group.';
