//! Carrying out: what was told, or what ended, becomes the changes to one entity.
//!
//! [`carry_out`] records wishes, [`finish`] records what happened to a task; both then plan and reconcile every timeline of the
//! entity until nothing changes any more, and give one [`ChangeSet`] that is written whole or not at all. New tasks and timelines
//! carry negative numbers until [`ChangeSet::number`] gives them real ones, so that everything here stays pure.

mod adhoc;
mod enrol;
mod operate;
mod settle;

use jiff::Timestamp;

use crate::history::{Record, RecordKind};
use crate::library::Library;
use crate::name::{Name, TaskId, TimelineId, WishId};
use crate::plan::{EndedTask, SeenEvent};
use crate::reason::Reason;
use crate::task::{Refused, Task, TaskEvent, TaskState, Transition};
use crate::timeline::{ChangeSet, EntitySnapshot, TaskWrite, Timeline};
use crate::value::Facts;
use crate::wish::{StoredWish, Wish};

/// What a wish came to.
#[derive(Debug, Clone, PartialEq)]
pub enum WishResult {
    /// A timeline began.
    Enrolled,
    /// The entity was enrolled already and the definition says to ignore that.
    AlreadyEnrolled,
    /// It was recorded, and every timeline of the entity follows it.
    Told,
    /// It could not be carried out; history keeps it with this problem.
    Refused {
        /// The stable code.
        code: &'static str,
        /// What was wrong.
        problem: String,
    },
}

/// The changes to one entity and what became of each wish.
#[derive(Debug, Clone, PartialEq)]
pub struct CarriedOut {
    /// What is to be written.
    pub changes: ChangeSet,
    /// One result for each wish, in order.
    pub results: Vec<(WishId, WishResult)>,
}

/// What the wishes make of the entity. All of them are of this entity, oldest first.
///
/// `fresh` holds facts that were just read for the entity (an event with `recompute`): a JSON object of objects, or null.
pub fn carry_out(
    snapshot: &EntitySnapshot,
    wishes: &[StoredWish],
    fresh: &serde_json::Value,
    library: &Library,
    now: Timestamp,
) -> CarriedOut {
    let mut work = Work::new(snapshot, library, now);
    let mut results = Vec::with_capacity(wishes.len());
    for stored in wishes {
        work.changes.carried_out.push(stored.id);
        let result = work.wish(stored).unwrap_or_else(|(code, problem)| {
            work.refuse(stored, code, &problem);
            WishResult::Refused { code, problem }
        });
        results.push((stored.id, result));
    }
    if fresh.as_object().is_some_and(|groups| !groups.is_empty()) {
        work.read_facts(fresh);
    }
    let cause = cause_of(wishes);
    settle::settle(&mut work, &cause);
    CarriedOut { changes: work.changes, results }
}

/// What an event that happened to a stored task makes of the entity: the transition, and every follow-up.
/// # Errors
/// [`Refused`]: the event does not fit the task as it is stored; nothing changes.
pub fn finish(
    snapshot: &EntitySnapshot,
    task: &Task,
    event: TaskEvent,
    library: &Library,
    now: Timestamp,
) -> Result<ChangeSet, Refused> {
    let mut work = Work::new(snapshot, library, now);
    let transition = task.apply(with_origin(task, event), now)?;
    // What waits again after an attempt may have lost its place in the plan meanwhile: a running task is not taken back by a plan.
    let is_free = task.state == TaskState::Running && transition.task.state != TaskState::Running;
    let is_over = is_free || transition.task.state.is_final();
    let cause = format!("{} {}", task.step, transition.task.state);
    work.transit(task, transition);
    if task.timeline.is_some() && is_over {
        settle::settle(&mut work, &cause);
    }
    Ok(work.changes)
}

/// A person's move also says where the task stood before.
fn with_origin(task: &Task, event: TaskEvent) -> TaskEvent {
    match event {
        TaskEvent::Move { due_at, reason: because @ Reason::Person { .. } } => {
            let reason = Reason::Moved { from: task.due_at, cause: String::new(), because: Box::new(because) };
            TaskEvent::Move { due_at, reason }
        }
        other => other,
    }
}

/// A new task that does what an ended one did, at once; linked to it by its reason. `action` is that of an ad-hoc task.
pub fn run_again(
    snapshot: &EntitySnapshot,
    ended: &Record,
    action: Option<serde_json::Value>,
    actor: &str,
    now: Timestamp,
) -> ChangeSet {
    let mut changes = ChangeSet::new(snapshot.entity.clone());
    changes.planned_from = Some(snapshot.version);
    let Some(step) = ended.step.clone() else { return changes };
    let base = ended.occurrence.split_once('#').map_or(ended.occurrence.as_str(), |(base, _)| base);
    let is_same = |record: &&Record| record.timeline == ended.timeline && record.step == ended.step;
    let before = snapshot.records.iter().filter(is_same).filter(|record| record.kind.final_state().is_some()).count();
    let task = ended.task.map_or_else(String::new, |task| task.to_string());
    let wanted = crate::plan::Wanted {
        step,
        occurrence: format!("{base}#{}", before + 1),
        due_at: now,
        reason: Reason::Person { actor: actor.to_owned(), text: format!("run {task} again") },
    };
    let timeline = ended.timeline.unwrap_or(TimelineId(0));
    let mut task = crate::reconcile::task_of(wanted, TaskId(-1), (timeline, &snapshot.entity), now);
    task.timeline = ended.timeline;
    task.action = action;
    changes.created.push(task);
    changes
}

/// That an attempt, of which this record tells, was answered when it was over: nothing else changes, and what the answer carried is not
/// kept.
pub fn late_outcome(attempt: &Record, outcome: &Name, now: Timestamp) -> ChangeSet {
    let text = format!("attempt {} ({}) was answered `{outcome}` when it was over", attempt.attempt, attempt.fence);
    let mut changes = ChangeSet::new(attempt.entity.clone());
    let reason = Reason::Note { text };
    changes.records.push(Record { at: now, kind: RecordKind::LateOutcome, outcome: None, reason, ..attempt.clone() });
    changes
}

/// The facts of a timeline, typed by its definition; what no longer fits its type counts as not known.
pub fn facts_of(timeline: &Timeline, library: &Library) -> Facts {
    let Some(definition) = library.version(&timeline.definition) else { return Facts::default() };
    let types = definition.fact_types();
    let mut facts = Facts::default();
    for (group, fields) in timeline.facts.as_object().into_iter().flatten() {
        for (field, value) in fields.as_object().into_iter().flatten() {
            let accepted = types.get(group).and_then(|group| group.get(field)).and_then(|kind| kind.accept(value).ok());
            if let Some(value) = accepted {
                facts.insert(group, field, value);
            }
        }
    }
    with_nulls(definition, &mut facts);
    facts
}

/// A nullable field that was not given is null.
pub fn with_nulls(definition: &crate::definition::Definition, facts: &mut Facts) {
    for (group, declared) in &definition.facts {
        for (field, kind) in &declared.fields {
            if kind.nullable && facts.get(&format!("{group}.{field}")).is_none() {
                facts.insert(group.as_str(), field.as_str(), crate::value::Value::Null);
            }
        }
    }
}

/// The final tasks of one timeline, in the order they ended.
pub fn ended_of(snapshot: &EntitySnapshot, timeline: TimelineId) -> Vec<EndedTask> {
    let of_it = snapshot.records.iter().filter(|record| record.timeline == Some(timeline));
    of_it.filter_map(EndedTask::of).collect()
}

/// The tasks of one timeline that are not final.
pub fn live_of(snapshot: &EntitySnapshot, timeline: TimelineId) -> Vec<Task> {
    snapshot.live.iter().filter(|task| task.timeline == Some(timeline)).cloned().collect()
}

/// Every event that was told of the entity, by the instant it happened.
pub fn events_of(snapshot: &EntitySnapshot) -> Vec<SeenEvent> {
    let mut events: Vec<SeenEvent> = snapshot.records.iter().filter_map(SeenEvent::of).collect();
    events.sort_by_key(|event| event.at);
    events
}

/// Whether a later run of the same definition has taken this timeline's place.
pub fn is_superseded(snapshot: &EntitySnapshot, timeline: &Timeline) -> bool {
    snapshot.timelines.iter().any(|other| other.name == timeline.name && other.run > timeline.run)
}

fn cause_of(wishes: &[StoredWish]) -> String {
    let words: Vec<String> = wishes
        .iter()
        .map(|stored| match &stored.wish {
            Wish::Enrol { .. } => "enrolled".to_owned(),
            Wish::Event { name, .. } => name.to_string(),
            Wish::PutFacts { .. } => "facts changed".to_owned(),
            Wish::Schedule { .. } => "asked for".to_owned(),
            Wish::Cancel { step, .. } => format!("{step} cancelled"),
            Wish::Reschedule { step, .. } => format!("{step} moved"),
            Wish::Erase { .. } => "erased".to_owned(),
        })
        .collect();
    words.join(", ")
}

/// The entity as it is being changed, and the changes so far.
struct Work<'a> {
    snapshot: EntitySnapshot,
    library: &'a Library,
    now: Timestamp,
    changes: ChangeSet,
    /// The number of the next new task or timeline, counting down from -1.
    next_new: i64,
}

impl<'a> Work<'a> {
    fn new(snapshot: &EntitySnapshot, library: &'a Library, now: Timestamp) -> Self {
        let mut changes = ChangeSet::new(snapshot.entity.clone());
        changes.planned_from = Some(snapshot.version);
        Self { snapshot: snapshot.clone(), library, now, changes, next_new: -1 }
    }

    fn new_number(&mut self) -> i64 {
        let number = self.next_new;
        self.next_new -= 1;
        number
    }

    fn wish(&mut self, stored: &StoredWish) -> Result<WishResult, (&'static str, String)> {
        match &stored.wish {
            Wish::Enrol { timeline, given, facts, .. } => enrol::enrol(self, stored, (timeline, given, facts)),
            Wish::Event { name, data, facts, .. } => {
                self.check_event(name, data)?;
                self.merge_facts(facts)?;
                let reason = Reason::Event {
                    name: name.to_string(),
                    at: stored.at,
                    actor: stored.actor.clone(),
                    data: data.clone(),
                    text: None,
                };
                self.record(RecordKind::Event, stored.at, None, reason);
                self.schedule_erasure(name, stored.at);
                Ok(WishResult::Told)
            }
            Wish::PutFacts { facts, .. } => {
                self.merge_facts(facts)?;
                let reason = Reason::Facts { facts: facts.clone(), actor: stored.actor.clone() };
                self.record(RecordKind::Facts, stored.at, None, reason);
                Ok(WishResult::Told)
            }
            Wish::Schedule { key, due_at, action, .. } => adhoc::schedule(self, stored, (key, *due_at, action)),
            Wish::Cancel { timeline, step, text, .. } => {
                let reason = Reason::Person { actor: stored.actor.clone(), text: text.clone() };
                operate::operate(self, (timeline.as_ref(), step), &TaskEvent::Cancel { reason })
            }
            Wish::Reschedule { timeline, step, due_at, text, .. } => {
                // Stores keep whole microseconds.
                let due_at = Timestamp::from_microsecond(due_at.as_microsecond()).unwrap_or(*due_at);
                let reason = Reason::Person { actor: stored.actor.clone(), text: text.clone() };
                operate::operate(self, (timeline.as_ref(), step), &TaskEvent::Move { due_at, reason })
            }
            // An erasure is the store's; where only a forecast is made, it takes back what is ahead.
            Wish::Erase { .. } => {
                self.changes.erase_at = Some(self.now);
                Ok(WishResult::Told)
            }
        }
    }

    fn refuse(&mut self, stored: &StoredWish, code: &str, problem: &str) {
        let reason = Reason::Refused { code: code.to_owned(), problem: problem.to_owned() };
        self.record(RecordKind::Refused, stored.at, None, reason);
    }

    /// An event whose `shift` cannot be read from what it carries is refused as a whole.
    fn check_event(&self, name: &crate::name::EventName, data: &serde_json::Value) -> Result<(), (&'static str, String)> {
        for timeline in &self.snapshot.timelines {
            let reaction = self.library.version(&timeline.definition).and_then(|definition| definition.on.get(name));
            if let Some(shift) = reaction.and_then(|reaction| reaction.shift.as_ref()) {
                crate::plan::shift_of(shift, data).map_err(|error| ("HNC-0304", error.to_string()))?;
            }
        }
        Ok(())
    }

    fn schedule_erasure(&mut self, name: &crate::name::EventName, at: Timestamp) {
        for timeline in &self.snapshot.timelines {
            let Some(definition) = self.library.version(&timeline.definition) else { continue };
            let Some(after) = definition.on.get(name).and_then(|reaction| reaction.erase.as_ref()) else { continue };
            let zone = crate::plan::zone_of(definition, &facts_of(timeline, self.library));
            if let Ok(erase_at) = after.add_to(at, &zone) {
                self.changes.erase_at = Some(self.changes.erase_at.map_or(erase_at, |other| other.min(erase_at)));
            }
        }
    }

    /// Takes facts that the caller gave into every active timeline that declares them; none may be declared nowhere.
    fn merge_facts(&mut self, facts: &serde_json::Value) -> Result<(), (&'static str, String)> {
        let Some(groups) = facts.as_object() else {
            return if facts.is_null() { Ok(()) } else { Err(("HNC-0303", "facts must be an object of objects".to_owned())) };
        };
        for (group, fields) in groups {
            let single = serde_json::json!({ group: fields });
            let mut problem = None;
            let mut is_declared = false;
            for timeline in &self.snapshot.timelines {
                let Some(definition) = self.library.version(&timeline.definition) else { continue };
                let types = definition.fact_types();
                if types.contains_key(group) {
                    is_declared = true;
                    if let Err(errors) = Facts::from_json(&single, &types) {
                        problem = errors.first().map(ToString::to_string);
                    }
                }
            }
            if let Some(problem) = problem {
                return Err(("HNC-0303", problem));
            }
            if !is_declared {
                let problem = format!("no timeline of {} declares facts `{group}`", self.snapshot.entity);
                return Err(("HNC-0303", problem));
            }
        }
        self.take_facts(facts);
        Ok(())
    }

    /// Takes facts that were read by the engine.
    fn read_facts(&mut self, facts: &serde_json::Value) {
        self.take_facts(facts);
        let reason = Reason::Facts { facts: facts.clone(), actor: "read anew".to_owned() };
        self.record(RecordKind::Facts, self.now, None, reason);
    }

    fn take_facts(&mut self, facts: &serde_json::Value) {
        for index in 0..self.snapshot.timelines.len() {
            let timeline = &mut self.snapshot.timelines[index];
            let Some(definition) = self.library.version(&timeline.definition) else { continue };
            let known = definition.fact_types();
            let before = timeline.facts.clone();
            for (group, fields) in facts.as_object().into_iter().flatten() {
                if known.contains_key(group) {
                    merge_group(&mut timeline.facts, group, fields);
                }
            }
            if timeline.facts != before {
                self.touch(index);
            }
        }
    }

    /// Marks a timeline as changed, so that it is written.
    fn touch(&mut self, index: usize) {
        let timeline = self.snapshot.timelines[index].clone();
        match self.changes.timelines.iter_mut().find(|other| other.id == timeline.id) {
            Some(other) => *other = timeline,
            None => self.changes.timelines.push(timeline),
        }
    }

    fn record(&mut self, kind: RecordKind, at: Timestamp, timeline: Option<TimelineId>, reason: Reason) {
        let mut record = Record::about(self.snapshot.entity.clone(), (kind, at), reason);
        record.timeline = timeline;
        self.snapshot.records.push(record.clone());
        self.changes.records.push(record);
    }

    /// Notes a transition of a stored task and applies it to the working copy.
    fn transit(&mut self, before: &Task, transition: Transition) {
        let Transition { task, record } = transition;
        self.snapshot.live.retain(|other| other.id != task.id);
        if !task.state.is_final() {
            self.snapshot.live.push(task.clone());
        }
        self.snapshot.records.extend(record.clone());
        if let Some(created) = self.changes.created.iter().position(|other| other.id == task.id) {
            // Made and changed in one go: nobody has seen it, so it is as if it had been made so.
            if task.state.is_final() {
                self.changes.created.remove(created);
            } else {
                self.changes.created[created] = task;
            }
            return;
        }
        if let Some(write) = self.changes.transitions.iter_mut().find(|write| write.id == task.id) {
            self.changes.records.extend(std::mem::replace(&mut write.record, record));
            write.task = task;
            return;
        }
        self.changes.transitions.push(TaskWrite {
            id: before.id,
            state_before: before.state,
            fence_before: before.fence,
            cancel_asked_before: before.cancel_asked,
            task,
            record,
        });
    }
}

fn merge_group(facts: &mut serde_json::Value, group: &str, fields: &serde_json::Value) {
    if !facts.is_object() {
        *facts = serde_json::json!({});
    }
    let Some(fields) = fields.as_object() else { return };
    let known = &mut facts[group];
    if !known.is_object() {
        *known = serde_json::json!({});
    }
    for (field, value) in fields {
        known[field] = value.clone();
    }
}
