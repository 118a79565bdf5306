//! Timelines and what is stored of one entity: the input of every plan, and the changes that a plan gives.
//!
//! Owns the plain types that the engine hands to a store and gets back. Leaves to others: deciding (`plan`, `reconcile`), storing.

use std::collections::BTreeMap;

use jiff::Timestamp;

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
    /// `None` for transitions of tasks that no plan is behind.
    pub planned_from: Option<i64>,
    /// Wishes that are carried out by this; written only if all are still in the inbox.
    pub carried_out: Vec<WishId>,
    /// Timelines to insert or to replace, by id.
    pub timelines: Vec<Timeline>,
    /// New tasks, all `scheduled`.
    pub created: Vec<Task>,
    /// Transitions of stored tasks.
    pub transitions: Vec<TaskWrite>,
    /// Records that belong to no transition, such as an event.
    pub records: Vec<Record>,
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
    /// … under this fence.
    pub fence_before: Fence,
    /// The task afterwards; in a final state it leaves the live tasks.
    pub task: Task,
    /// What history keeps of it.
    pub record: Option<Record>,
}
