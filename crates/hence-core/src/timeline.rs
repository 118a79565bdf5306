//! Timelines and what is stored of one entity: the input of every plan, and the changes that a plan gives.
//!
//! Owns the plain types that the engine hands to a store and gets back. Leaves to others: deciding (`plan`, `reconcile`), storing.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::answer::Problem;
use crate::history::Record;
use crate::name::{DefinitionHash, EntityKey, Fence, Name, TaskId, TimelineId, WishId};
use crate::task::{Task, TaskState};

/// One run of one definition for one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Its number in the store.
    pub id: TimelineId,
    /// The definition's name.
    pub name: Name,
    /// The version of the definition that it follows.
    pub definition: DefinitionHash,
    /// For whom.
    pub entity: EntityKey,
    /// Which run of the definition for this entity, from 1.
    pub run: u32,
    /// Whether anything is still ahead.
    pub status: TimelineStatus,
    /// When the entity was enrolled, by the caller's word or the store's clock.
    pub enrolled_at: Timestamp,
    /// Instants given at enrolment, by name.
    pub given: BTreeMap<Name, Timestamp>,
    /// What is known, by group: a JSON object of objects.
    pub facts: serde_json::Value,
}

/// Whether anything is still ahead in a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimelineStatus {
    /// Tasks are waiting or may still come.
    Active,
    /// Nothing is ahead.
    Ended,
}

impl TimelineStatus {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            TimelineStatus::Active => "active",
            TimelineStatus::Ended => "ended",
        }
    }
}

/// All that is stored of one entity and matters for its future.
#[derive(Debug, Clone, PartialEq)]
pub struct EntitySnapshot {
    /// Whose.
    pub entity: EntityKey,
    /// Counts the plans that were written for the entity; 0 before the first.
    pub version: i64,
    /// Its timelines, oldest first, ended ones too.
    pub timelines: Vec<Timeline>,
    /// Its tasks that are not final, by due instant.
    pub live: Vec<Task>,
    /// Its history, oldest first, in the order it was written.
    pub records: Vec<Record>,
}

/// Changes to what is stored of one entity: all of them are written, or none.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeSet {
    /// Whose.
    pub entity: EntityKey,
    /// The snapshot's version that the changes were planned from; written only if it still holds, and then counted up.
    /// `None` for changes that are right whatever else was changed; a transition is not, because state and fence do not tell all of a task.
    pub planned_from: Option<i64>,
    /// Wishes that are carried out by this; written only if all are still in the inbox.
    pub carried_out: Vec<WishId>,
    /// Timelines to insert or to replace, by id.
    pub timelines: Vec<Timeline>,
    /// New tasks, all `scheduled`.
    pub created: Vec<Task>,
    /// Transitions of stored tasks.
    pub transitions: Vec<TaskWrite>,
    /// Records that belong to no transition and come before them, such as an event.
    pub records: Vec<Record>,
    /// Records that come after the transitions, such as the end of a timeline.
    pub closing: Vec<Record>,
    /// When all that is personal of the entity is to be scrubbed, if that was asked for; an earlier instant that is stored stays.
    pub erase_at: Option<Timestamp>,
    /// That the entity's wishes stay in the inbox for now. Carrying wishes out ends an earlier postponement.
    pub postponed: Option<Postponement>,
}

/// Why the wishes about an entity cannot be carried out now, and when they are tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postponement {
    /// One of the wishes; the postponement is written only if it is still in the inbox.
    pub wish: WishId,
    /// When they are tried again.
    pub try_at: Timestamp,
    /// What kept them from being carried out.
    pub problem: Problem,
}

impl ChangeSet {
    /// No changes yet for this entity.
    pub fn new(entity: EntityKey) -> Self {
        Self {
            entity,
            planned_from: None,
            carried_out: Vec::new(),
            timelines: Vec::new(),
            created: Vec::new(),
            transitions: Vec::new(),
            records: Vec::new(),
            closing: Vec::new(),
            erase_at: None,
            postponed: None,
        }
    }
}

/// A transition of a stored task, as a conditional write.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskWrite {
    /// Which task.
    pub id: TaskId,
    /// Written only if the stored task is in this state …
    pub state_before: TaskState,
    /// … under this fence …
    pub fence_before: Fence,
    /// … and a cancel was asked for or was not: of a running task that may change without anything else changing.
    pub cancel_asked_before: bool,
    /// The task afterwards; in a final state it leaves the live tasks.
    pub task: Task,
    /// What history keeps of it.
    pub record: Option<Record>,
}

impl ChangeSet {
    /// How many new tasks and timelines wait for a number.
    pub fn numbers_wanted(&self) -> usize {
        let timelines = self.timelines.iter().filter(|timeline| timeline.id.0 < 0).count();
        timelines + self.created.iter().filter(|task| task.id.0 < 0).count()
    }

    /// Gives every new task and timeline its number, in order; negative numbers stand for them until then.
    ///
    /// `first` begins a block of [`ChangeSet::numbers_wanted`] numbers that the store has reserved.
    pub fn number(&mut self, first: i64) {
        let timelines: Vec<i64> = self.timelines.iter().map(|timeline| timeline.id.0).filter(|id| *id < 0).collect();
        let tasks: Vec<i64> = self.created.iter().map(|task| task.id.0).filter(|id| *id < 0).collect();
        let numbers: BTreeMap<i64, i64> = timelines.into_iter().chain(tasks).zip(first..).collect();
        let real = |id: i64| numbers.get(&id).copied().unwrap_or(id);
        for timeline in &mut self.timelines {
            timeline.id = TimelineId(real(timeline.id.0));
        }
        for task in &mut self.created {
            task.id = TaskId(real(task.id.0));
            task.timeline = task.timeline.map(|id| TimelineId(real(id.0)));
        }
        let written = self.transitions.iter_mut().filter_map(|write| write.record.as_mut());
        for record in self.records.iter_mut().chain(&mut self.closing).chain(written) {
            record.timeline = record.timeline.map(|id| TimelineId(real(id.0)));
            record.task = record.task.map(|id| TaskId(real(id.0)));
        }
    }
}

impl EntitySnapshot {
    /// An entity that nothing is stored of.
    pub fn unknown(entity: EntityKey) -> Self {
        Self { entity, version: 0, timelines: Vec::new(), live: Vec::new(), records: Vec::new() }
    }

    /// The timeline of that number.
    pub fn timeline(&self, id: TimelineId) -> Option<&Timeline> {
        self.timelines.iter().find(|timeline| timeline.id == id)
    }

    /// The entity as it is once the changes are written.
    pub fn apply(&mut self, changes: &ChangeSet) {
        if changes.planned_from.is_some() {
            self.version += 1;
        }
        for timeline in &changes.timelines {
            match self.timelines.iter_mut().find(|other| other.id == timeline.id) {
                Some(other) => *other = timeline.clone(),
                None => self.timelines.push(timeline.clone()),
            }
        }
        self.records.extend(changes.records.iter().cloned());
        for write in &changes.transitions {
            self.live.retain(|task| task.id != write.id);
            if !write.task.state.is_final() {
                self.live.push(write.task.clone());
            }
            self.records.extend(write.record.clone());
        }
        self.live.extend(changes.created.iter().cloned());
        self.live.sort_by_key(|task| (task.due_at, task.id));
        self.records.extend(changes.closing.iter().cloned());
    }
}
