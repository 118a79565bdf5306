//! The ledger: what was really committed and really sent, kept apart from the product, and judged at every commit.
//!
//! It sees each accepted wish, each applied change, each start, each delivery and each answer at the instant it happens, and keeps a
//! shadow of every task. The rules are written anew here, from the guarantees (G numbers) and not from the product's code; the only
//! thing taken from there is what a definition says. The first breach is kept, everything after it is a consequence.

mod close;
mod deliveries;
mod nodes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hence_core::definition::{Definition, Guarantee, Selection, Step, Trigger};
use hence_core::history::{Record, RecordKind};
use hence_core::name::{DefinitionHash, EntityKey, Fence, Name, TaskId, TimelineId, WishId};
use hence_core::reason::Reason;
use hence_core::task::{TAKEOVERS_MAX, Task, TaskState};
use hence_core::timeline::{ChangeSet, TaskWrite, Timeline};
use hence_core::wish::Wish;
use hence_store::port::{Acceptance, NewWish, StartRequest, Written};
use jiff::{SignedDuration, Timestamp};

pub(crate) use self::close::Stored;
pub(crate) use self::deliveries::{Delivery, Heard};
use self::nodes::Beaten;
use crate::executor::{Executor, Process};
use crate::world::Trace;

/// What has waited for longer is backlog, which is started slowly.
const BACKLOG: SignedDuration = SignedDuration::from_secs(60);
/// How late a start may be where nothing fails: a pass of a second, and room for the passes before it.
const LATE_MAX: Duration = Duration::from_millis(1_500);

/// An instant by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Since the run began.
    pub(crate) at: Duration,
    /// By the wall clock.
    pub(crate) wall: Timestamp,
}

/// A breach of a guarantee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Which guarantee.
    pub rule: &'static str,
    /// What happened.
    pub text: String,
}

/// What is known of one task.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// As it should be stored; as it was last, once it has ended.
    pub(crate) task: Task,
    /// How it ended.
    pub(crate) end: Option<(TaskState, String)>,
    starts: Vec<Start>,
    /// How often a person let it go on.
    asked: u32,
    /// Whether a person asked for it.
    is_persons: bool,
    /// Whether the change set that is being written lets it wait again before it ends.
    waits_between: bool,
}

#[derive(Debug, Clone)]
struct Start {
    fence: Fence,
    at: Duration,
    process: Process,
    /// Whether the end of its attempt was written.
    is_closed: bool,
    /// Whether its node has lost the shard since.
    is_lost: bool,
}

#[derive(Debug, Clone, Default)]
struct Whole {
    version: i64,
    changed_at: Duration,
    erased_at: Option<Duration>,
    /// Events by the record: name and when they happened.
    events: Vec<(String, Timestamp)>,
    has_unread_facts: bool,
}

#[derive(Debug, Clone)]
struct Line {
    timeline: Timeline,
    /// Steps that an event cancelled.
    cancelled: BTreeSet<Name>,
}

/// What really happened. See the module.
pub(crate) struct Ledger {
    is_calm: bool,
    executor: Executor,
    breach: Option<Breach>,
    /// Every definition that can be met.
    pub(crate) definitions: BTreeMap<DefinitionHash, Arc<Definition>>,
    /// Every task there ever was.
    pub(crate) tasks: BTreeMap<TaskId, Known>,
    entities: BTreeMap<EntityKey, Whole>,
    lines: BTreeMap<TimelineId, Line>,
    inbox: BTreeMap<WishId, EntityKey>,
    /// The mark of an event, for each wish that is one.
    mark_of: BTreeMap<WishId, i64>,
    keys: BTreeMap<String, (WishId, EntityKey)>,
    occurrences: BTreeSet<(TimelineId, Name, String)>,
    /// How often history tells of an event, by its mark, and of whom.
    marks: BTreeMap<i64, (u32, EntityKey)>,
    /// The marks of events about an entity that had been told when it was erased.
    erased_marks: BTreeSet<i64>,
    last_fence: Fence,
    shown_max: Timestamp,
    deliveries: Vec<Delivery>,
    answers: BTreeSet<(TaskId, Fence, String)>,
    failures: BTreeSet<(TaskId, Fence)>,
    /// What each engine may still start of a backlog, and since when.
    backlog: BTreeMap<Process, (f64, Duration)>,
    /// The limits of the engines: attempts under way and starts of backlog a second.
    pub(crate) limits: (usize, u32),
    /// How many shards the store has.
    pub(crate) shards: u16,
    nodes: BTreeMap<String, Beaten>,
    /// When a node came or went, or a shard changed hands.
    moved_at: Duration,
    /// Changes that were committed.
    pub(crate) commits: u64,
}

impl Ledger {
    /// Nothing has happened.
    pub(crate) fn new(is_calm: bool) -> Self {
        Self {
            is_calm,
            executor: Executor::default(),
            breach: None,
            definitions: BTreeMap::new(),
            tasks: BTreeMap::new(),
            entities: BTreeMap::new(),
            lines: BTreeMap::new(),
            inbox: BTreeMap::new(),
            mark_of: BTreeMap::new(),
            keys: BTreeMap::new(),
            occurrences: BTreeSet::new(),
            marks: BTreeMap::new(),
            erased_marks: BTreeSet::new(),
            last_fence: Fence(0),
            shown_max: Timestamp::MIN,
            deliveries: Vec::new(),
            answers: BTreeSet::new(),
            failures: BTreeSet::new(),
            backlog: BTreeMap::new(),
            limits: (usize::MAX, u32::MAX),
            shards: 1,
            nodes: BTreeMap::new(),
            moved_at: Duration::ZERO,
            commits: 0,
        }
    }

    /// Where it sees which processes live.
    pub(crate) fn watch(&mut self, executor: Executor) {
        self.executor = executor;
    }

    /// The first breach.
    pub(crate) fn breach(&self) -> Option<&Breach> {
        self.breach.as_ref()
    }

    /// The wall clock showed this.
    pub(crate) fn shown(&mut self, wall: Timestamp) {
        self.shown_max = self.shown_max.max(wall);
    }

    /// Facts of the entity could not be read.
    pub(crate) fn unreadable(&mut self, entity: &str) {
        let key = format!("account/{entity}").parse().expect("entities of a story are named so");
        self.whole(&key).has_unread_facts = true;
    }

    /// Breaks a rule unless `holds`.
    pub(crate) fn demand(&mut self, holds: bool, rule: &'static str, text: impl FnOnce() -> String) {
        if !holds && self.breach.is_none() {
            self.breach = Some(Breach { rule, text: text() });
        }
    }

    fn whole(&mut self, entity: &EntityKey) -> &mut Whole {
        self.entities.entry(entity.clone()).or_default()
    }

    fn is_erased(&self, entity: &EntityKey) -> bool {
        self.entities.get(entity).is_some_and(|whole| whole.erased_at.is_some())
    }

    fn step_of(&self, task: &Task) -> Option<&Step> {
        let line = self.lines.get(&task.timeline?)?;
        self.definitions.get(&line.timeline.definition)?.step(&task.step)
    }

    /// Wishes were put into the inbox.
    pub(crate) fn accepted(&mut self, moment: Moment, wishes: &[NewWish], answers: &[Acceptance], trace: &mut Trace) {
        for (wish, answer) in wishes.iter().zip(answers) {
            let Acceptance::Accepted { id, is_duplicate: false } = answer else { continue };
            let entity = wish.wish.entity();
            trace.note(moment.at, &format!("accepted {id}: {entity} {}", name_of(&wish.wish)));
            let known = wish.key.as_ref().and_then(|key| self.keys.insert(key.clone(), (*id, entity.clone())));
            if let Wish::Event { data, .. } = &wish.wish {
                self.mark_of.extend(data.get("mark").and_then(serde_json::Value::as_i64).map(|mark| (*id, mark)));
            }
            self.demand(known.is_none(), "G4", || format!("{id} was accepted under the key of {known:?}"));
            self.inbox.insert(*id, entity.clone());
            self.whole(entity).changed_at = moment.at;
        }
    }

    /// Change sets were written, or not.
    pub(crate) fn written(
        &mut self,
        moment: Moment,
        process: Process,
        (sets, answers): (&[ChangeSet], &[Written]),
        trace: &mut Trace,
    ) {
        for (set, answer) in sets.iter().zip(answers) {
            match answer {
                Written::Applied => self.applied(moment, process, set, trace),
                Written::Conflict(conflict) => {
                    trace.note(moment.at, &format!("p{} conflict: {} {conflict}", process.0, set.entity));
                    let is_ours = matches!(conflict, hence_store::port::Conflict::Invalid(_));
                    self.demand(!is_ours, "G11", || format!("changes contradict themselves: {conflict}"));
                }
            }
        }
    }

    fn applied(&mut self, moment: Moment, process: Process, set: &ChangeSet, trace: &mut Trace) {
        self.commits += 1;
        trace.note(moment.at, &format!("p{} wrote {}: {}", process.0, set.entity, shown(set)));
        let whole = self.whole(&set.entity);
        whole.changed_at = moment.at;
        if let Some(planned_from) = set.planned_from {
            let version = whole.version;
            whole.version += 1;
            self.demand(version == planned_from, "G9", || {
                format!("a plan for {} made from version {planned_from} was written over version {version}", set.entity)
            });
        }
        for id in &set.carried_out {
            let was_there = self.inbox.remove(id).is_some();
            self.demand(was_there, "G16", || format!("{id} was carried out, and is not in the inbox"));
        }
        for timeline in &set.timelines {
            let line = Line { timeline: timeline.clone(), cancelled: BTreeSet::new() };
            self.lines.entry(timeline.id).or_insert(line).timeline = timeline.clone();
        }
        for record in &set.records {
            self.recorded(record);
        }
        self.cancel_by_events(&set.entity);
        for write in &set.transitions {
            self.transition(moment, process, write);
        }
        for task in &set.created {
            self.created(task);
        }
        self.nothing_cancelled_waits(&set.entity);
    }

    fn recorded(&mut self, record: &Record) {
        let waits = matches!(record.kind, RecordKind::Retried | RecordKind::TakenOver | RecordKind::Held);
        if let Some(known) = record.task.and_then(|id| self.tasks.get_mut(&id)) {
            known.waits_between = waits;
        }
        let Reason::Event { name, at, data, .. } = &record.reason else { return };
        if record.kind != RecordKind::Event {
            return;
        }
        if let Some(mark) = data.get("mark").and_then(serde_json::Value::as_i64) {
            let (count, _) = self.marks.entry(mark).or_insert_with(|| (0, record.entity.clone()));
            *count += 1;
            let count = *count;
            self.demand(count == 1, "G4", || format!("the event with mark {mark} is in history {count} times"));
        }
        let event = (name.clone(), *at);
        self.whole(&record.entity).events.push(event);
    }

    /// Which steps of the entity's timelines the events so far have cancelled.
    fn cancel_by_events(&mut self, entity: &EntityKey) {
        let events = self.entities.get(entity).map(|whole| whole.events.clone()).unwrap_or_default();
        for line in self.lines.values_mut().filter(|line| line.timeline.entity == *entity) {
            let Some(definition) = self.definitions.get(&line.timeline.definition) else { continue };
            for (name, at) in &events {
                let reaction = name.parse().ok().and_then(|name| definition.on.get(&name));
                let Some(whom) = reaction.and_then(|reaction| reaction.cancel.as_ref()) else { continue };
                if *at < line.timeline.enrolled_at {
                    continue;
                }
                let follows_cancel = |step: &&Step| {
                    matches!(&step.trigger, Trigger::After { outcome, .. } if outcome.as_str() == "cancelled")
                        && *whom == Selection::All
                };
                let steps = definition.steps.iter().filter(|step| whom.includes(&step.name) && !follows_cancel(step));
                line.cancelled.extend(steps.map(|step| step.name.clone()));
            }
        }
    }

    fn is_cancelled_by_event(&self, task: &Task) -> bool {
        task.timeline.and_then(|id| self.lines.get(&id)).is_some_and(|line| line.cancelled.contains(&task.step))
    }

    fn nothing_cancelled_waits(&mut self, entity: &EntityKey) {
        let waits = |known: &&Known| {
            let is_waiting = matches!(known.task.state, TaskState::Scheduled | TaskState::Held);
            known.end.is_none() && known.task.entity == *entity && is_waiting && !known.is_persons
        };
        let left = self.tasks.values().filter(waits).find(|known| self.is_cancelled_by_event(&known.task));
        let left = left.map(|known| known.task.id);
        self.demand(left.is_none(), "G13", || format!("{left:?} waits although an event cancelled its step"));
    }

    fn created(&mut self, task: &Task) {
        let is_new = !self.tasks.contains_key(&task.id);
        self.demand(is_new, "G9", || format!("{} was created twice", task.id));
        if let Some(timeline) = task.timeline {
            let key = (timeline, task.step.clone(), task.occurrence.clone());
            let is_first = self.occurrences.insert(key);
            self.demand(is_first, "G9", || format!("{} is a second `{}` of {timeline}", task.id, task.step));
        }
        self.demand(task.state == TaskState::Scheduled, "G11", || format!("{} begins as {}", task.id, task.state));
        let is_persons = matches!(task.reason, Reason::Person { .. });
        let known = Known { task: task.clone(), end: None, starts: Vec::new(), asked: 0, is_persons, waits_between: false };
        self.tasks.insert(task.id, known);
    }

    fn transition(&mut self, moment: Moment, process: Process, write: &TaskWrite) {
        let (id, after) = (write.id, &write.task);
        let Some(known) = self.tasks.get(&id).cloned() else {
            return self.demand(false, "G11", || format!("{id} changes and was never created"));
        };
        let before = &known.task;
        self.demand(known.end.is_none(), "G11", || format!("{id} is {} and becomes {}", before.state, after.state));
        let is_as_seen = before.state == write.state_before && before.fence == write.fence_before;
        self.demand(is_as_seen, "G11", || {
            format!(
                "{id} is {} under {}, and was written from {} under {}",
                before.state, before.fence, write.state_before, write.fence_before
            )
        });
        self.demand(after.fence == before.fence && after.attempt == before.attempt, "G11", || {
            format!("{id}: only a start gives a fence")
        });
        let kind = write.record.as_ref().map(|record| record.kind);
        self.demand(is_allowed(before, after, kind) || known.may_also(after, kind), "G11", || {
            format!("{id} goes from {} to {} by {kind:?}", before.state, after.state)
        });
        self.judge_end(moment, process, (&known, write));
        let Some(known) = self.tasks.get_mut(&id) else { return };
        known.waits_between = false;
        if matches!(kind, Some(RecordKind::Released | RecordKind::RunAsked | RecordKind::Moved)) {
            known.asked += 1;
        }
        // Where a person has put it, there it stays; only an event that is later by the clock takes it back.
        known.is_persons |= after.reason.is_of_person();
        known.task = after.clone();
        if after.state.is_final() {
            let word = write.record.as_ref().and_then(|record| record.outcome.clone()).unwrap_or_default();
            known.end = Some((after.state, word));
        }
    }

    /// What leads out of `running` must be what really came of the attempt.
    fn judge_end(&mut self, moment: Moment, process: Process, (known, write): (&Known, &TaskWrite)) {
        let (id, before, after) = (write.id, &known.task, &write.task);
        let is_end = before.state == TaskState::Running && (after.state != TaskState::Running || after.answer_awaited);
        if !is_end {
            return;
        }
        let fence = before.fence;
        let kind = write.record.as_ref().map(|record| record.kind);
        let start = self.tasks.get_mut(&id).and_then(|known| known.starts.iter_mut().find(|start| start.fence == fence));
        let start = start.map(|start| {
            let before = start.clone();
            start.is_closed = true;
            before
        });
        let Some(start) = start else {
            return self.demand(false, "G23", || format!("{id} ends under {fence} and was never started so"));
        };
        if let Some(delivery) = self.under_way(id, fence) {
            let is_alive = self.executor.is_alive(delivery.process);
            self.demand(!is_alive || start.is_lost, "G12", || {
                format!("{id} is ended by p{} while p{} delivers it", process.0, start.process.0)
            });
        }
        let is_erased = self.is_erased(&before.entity);
        let step = self.step_of(before).map(|step| (step.retry.tries, step.delivery));
        match kind {
            Some(RecordKind::Done) => {
                let word = write.record.as_ref().and_then(|record| record.outcome.clone()).unwrap_or_default();
                let is_said = self.answers.contains(&(id, fence, word.clone()));
                self.demand(is_said, "G11", || format!("{id} is `{word}`, which no receiver answered under {fence}"));
            }
            Some(RecordKind::Failed) => {
                let failed = self.failures.contains(&(id, fence)) || self.entities[&before.entity].has_unread_facts;
                self.demand(failed, "G10", || format!("{id} failed under {fence}, and no receiver and no reading did"));
            }
            Some(RecordKind::Retried) => {
                let left = step.is_none_or(|(tries, _)| before.attempt < tries);
                self.demand(left, "G10", || format!("{id} is tried again after attempt {}", before.attempt));
                self.demand(!before.cancel_asked, "G13", || format!("{id} is tried again although it was cancelled"));
                self.demand(after.wake_at > moment.wall - SignedDuration::from_secs(1_000), "G20", || {
                    format!("{id} is tried again at once")
                });
            }
            Some(RecordKind::TakenOver) => {
                // Its own node takes over what it started without hearing of it.
                let may = start.is_lost || start.process == process || !self.executor.is_alive(start.process);
                self.demand(may, "G12", || format!("{id} is taken from p{}, which lives", start.process.0));
                self.demand(after.possible_duplicate, "G12", || format!("{id} is taken over and not marked"));
                self.demand(after.takeovers < TAKEOVERS_MAX, "G19", || format!("{id} is taken over {} times", after.takeovers));
            }
            Some(RecordKind::Unknown) => {
                let is_once = step.is_some_and(|(_, delivery)| delivery == Guarantee::AtMostOnce);
                self.demand(is_once || is_erased, "G17", || format!("{id} ends unknown and may be repeated"));
            }
            Some(RecordKind::Skipped | RecordKind::Expired) => {
                let was_sent = self.deliveries.iter().any(|delivery| delivery.task == id && delivery.fence == fence);
                self.demand(!was_sent, "G8", || format!("{id} is {} although it was sent", after.state));
            }
            _ => {}
        }
    }

    /// Tasks were started.
    pub(crate) fn started(
        &mut self,
        moment: Moment,
        process: Process,
        (request, tasks): (&StartRequest, &[Task]),
        trace: &mut Trace,
    ) {
        self.demand(tasks.len() <= request.limit, "G20", || {
            format!("{} tasks started, {} asked for", tasks.len(), request.limit)
        });
        for task in tasks {
            trace.note(
                moment.at,
                &format!("p{} started {} `{}` of {} under {}", process.0, task.id, task.step, task.entity, task.fence),
            );
            self.start(moment, process, task);
            if task.wake_at < request.now - BACKLOG {
                self.backlog_start(moment, process, task);
            }
        }
    }

    fn start(&mut self, moment: Moment, process: Process, task: &Task) {
        self.commits += 1;
        let id = task.id;
        let Some(known) = self.tasks.get(&id).cloned() else {
            return self.demand(false, "G10", || format!("{id} starts and was never created"));
        };
        let before = &known.task;
        self.demand(known.end.is_none(), "G11", || format!("{id} is {} and starts", before.state));
        self.demand(before.state == TaskState::Scheduled, "G11", || format!("{id} is {} and starts", before.state));
        self.demand(!before.cancel_asked, "G13", || format!("{id} was cancelled and starts"));
        let is_free = known.is_persons || !self.is_cancelled_by_event(before);
        self.demand(is_free, "G13", || format!("{id} starts although an event cancelled its step"));
        let shown_max = self.shown_max;
        self.demand(before.wake_at <= shown_max, "G5", || {
            format!("{id} wakes at {} and starts when no clock showed more than {shown_max}", before.wake_at)
        });
        let last = self.last_fence;
        self.last_fence = last.max(task.fence);
        self.demand(task.fence > last, "G11", || format!("{id} starts under {}, and {last} was given before", task.fence));
        self.demand(task.attempt == before.attempt + 1, "G10", || {
            format!("{id}: attempt {} after {}", task.attempt, before.attempt)
        });
        let tries = self.step_of(before).map_or(u32::MAX / 2, |step| step.retry.tries);
        let attempts_max = tries + TAKEOVERS_MAX * (1 + known.asked);
        self.demand(task.attempt <= attempts_max, "G10", || format!("{id} makes attempt {} of {attempts_max}", task.attempt));
        let wish = self.inbox.iter().find(|(_, entity)| **entity == before.entity).map(|(id, _)| *id);
        self.demand(wish.is_none(), "G13", || format!("{id} starts although {wish:?} of its entity waits"));
        self.judge_order(before);
        self.judge_lateness(moment, before);
        let Some(known) = self.tasks.get_mut(&id) else { return };
        known.task = task.clone();
        known.starts.push(Start { fence: task.fence, at: moment.at, process, is_closed: false, is_lost: false });
        self.whole(&task.entity).changed_at = moment.at;
    }

    /// G15: one at a time, in order.
    fn judge_order(&mut self, task: &Task) {
        let others = self
            .tasks
            .values()
            .filter(|other| other.end.is_none() && other.task.entity == task.entity && other.task.id != task.id);
        let mut running = None;
        let mut earlier = None;
        for other in others.map(|other| &other.task) {
            match other.state {
                TaskState::Running => running = Some(other.id),
                TaskState::Scheduled if (other.wake_at, other.id) < (task.wake_at, task.id) => earlier = Some(other.id),
                _ => {}
            }
        }
        self.demand(running.is_none(), "G15", || format!("{} starts while {running:?} of {} runs", task.id, task.entity));
        self.demand(earlier.is_none(), "G15", || format!("{} starts before {earlier:?} of {}", task.id, task.entity));
    }

    /// G6, where nothing fails and there is room.
    fn judge_lateness(&mut self, moment: Moment, task: &Task) {
        if !self.is_calm || self.limits.0 < 64 || self.limits.1 < 100 {
            return;
        }
        let changed_at = self.entities.get(&task.entity).map_or(Duration::ZERO, |whole| whole.changed_at);
        let late = Duration::try_from(moment.wall.duration_since(task.wake_at))
            .unwrap_or(Duration::ZERO)
            .min(moment.at - changed_at)
            .min(self.since_moved(moment));
        self.demand(late <= LATE_MAX, "G6", || format!("{} starts {late:?} late", task.id));
    }

    fn backlog_start(&mut self, moment: Moment, process: Process, task: &Task) {
        let rate = f64::from(self.limits.1);
        let (left, since) = self.backlog.entry(process).or_insert((rate + 1.0, moment.at));
        *left = (*left + rate * (moment.at - *since).as_secs_f64()).min(rate + 1.0) - 1.0;
        *since = moment.at;
        let left = *left;
        self.demand(left > -1.0, "G20", || format!("{} of a backlog starts faster than {rate} a second", task.id));
    }

    /// An entity was erased.
    pub(crate) fn erased(&mut self, moment: Moment, entity: &EntityKey, trace: &mut Trace) {
        trace.note(moment.at, &format!("erased {entity}"));
        self.commits += 1;
        let lost = self.inbox.iter().filter(|(_, other)| *other == entity).filter_map(|(id, _)| self.mark_of.get(id));
        self.erased_marks.extend(lost);
        // With its history go the keys by which what is told again is recognised.
        self.erased_marks.extend(self.marks.iter().filter(|(_, (_, other))| other == entity).map(|(mark, _)| *mark));
        self.marks.retain(|_, (_, other)| other != entity);
        self.inbox.retain(|_, other| other != entity);
        self.keys.retain(|_, (_, other)| other != entity);
        for known in self.tasks.values_mut().filter(|known| known.task.entity == *entity && known.end.is_none()) {
            let state = if known.task.state == TaskState::Running { TaskState::Unknown } else { TaskState::Cancelled };
            known.task.state = state;
            known.end = Some((state, state.as_str().to_owned()));
            known.starts.iter_mut().for_each(|start| start.is_closed = true);
        }
        let whole = self.whole(entity);
        whole.version += 1;
        whole.changed_at = moment.at;
        whole.erased_at = Some(moment.at);
    }

    /// A cancel was answered: it must be as stored (G13).
    pub(crate) fn cancel_answered(&mut self, id: TaskId, answer: hence::CancelAnswer) {
        let Some(known) = self.tasks.get(&id) else { return };
        let (task, end) = (known.task.clone(), known.end.clone());
        let was_started = |fence| known.starts.iter().any(|start| start.fence == fence);
        let holds = match answer {
            hence::CancelAnswer::Cancelled => task.state == TaskState::Cancelled,
            hence::CancelAnswer::AlreadyRunning { fence, .. } => was_started(fence) && (task.cancel_asked || end.is_some()),
            hence::CancelAnswer::Already(state) => task.state == state,
        };
        self.demand(holds, "G13", || format!("a cancel of {id} was answered {answer:?}, and it is {} ({end:?})", task.state));
    }
}

impl Known {
    /// What may follow within one change set once an attempt has ended and the task waits again.
    fn may_also(&self, after: &Task, kind: Option<RecordKind>) -> bool {
        let is_waiting = matches!(after.state, TaskState::Scheduled | TaskState::Held);
        let is_moved = is_waiting && kind == Some(RecordKind::Moved);
        self.waits_between && (after.state == TaskState::Cancelled || is_moved)
    }
}

/// What may lead from one state to another.
fn is_allowed(before: &Task, after: &Task, kind: Option<RecordKind>) -> bool {
    use TaskState::{Held, Running, Scheduled};
    let (from, to) = (before.state, after.state);
    match kind {
        None => false,
        Some(RecordKind::CancelAsked) => from == Running && to == Running && after.cancel_asked,
        Some(RecordKind::AnswerAwaited) => from == Running && to == Running && after.answer_awaited,
        Some(RecordKind::Retried | RecordKind::TakenOver) => from == Running && to == Scheduled,
        Some(RecordKind::Held) => matches!(from, Scheduled | Running) && to == Held,
        Some(RecordKind::Released) => from == Held && to == Scheduled,
        Some(RecordKind::RunAsked) => matches!(from, Scheduled | Held) && to == Scheduled,
        Some(RecordKind::Moved) => from == to && from != Running,
        Some(RecordKind::Cancelled) => to == TaskState::Cancelled && (from != Running || before.cancel_asked),
        // By a plan, because what it had to come before has passed.
        Some(RecordKind::Skipped) => to == TaskState::Skipped,
        Some(kind) => kind.final_state() == Some(to) && from == Running,
    }
}

fn name_of(wish: &Wish) -> String {
    match wish {
        Wish::Enrol { timeline, .. } => format!("enrol in {timeline}"),
        Wish::Event { name, data, .. } => format!("{name} {data}"),
        Wish::PutFacts { facts, .. } => format!("facts {facts}"),
        Wish::Schedule { key, due_at, .. } => format!("schedule {key} at {due_at}"),
        Wish::Cancel { step, .. } => format!("cancel {step}"),
        Wish::Reschedule { step, due_at, .. } => format!("reschedule {step} to {due_at}"),
        Wish::Erase { .. } => "erase".to_owned(),
    }
}

/// A change set in one line.
fn shown(set: &ChangeSet) -> String {
    let mut words: Vec<String> = set.carried_out.iter().map(|id| format!("carried out {id}")).collect();
    words.extend(set.records.iter().chain(&set.closing).map(|record| record.kind.as_str().to_owned()));
    words.extend(set.created.iter().map(|task| format!("+{} `{}` {} due {}", task.id, task.step, task.occurrence, task.due_at)));
    for write in &set.transitions {
        let kind = write.record.as_ref().map_or("", |record| record.kind.as_str());
        let word = write.record.as_ref().and_then(|record| record.outcome.as_deref()).unwrap_or_default();
        words.push(format!(
            "{} `{}` {} → {} ({kind} {word}) under {}",
            write.id, write.task.step, write.state_before, write.task.state, write.task.fence
        ));
    }
    words.join(", ")
}
