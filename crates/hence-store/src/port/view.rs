//! Values of the port for people: filters, pages, rows and counters.

use std::collections::BTreeMap;

use hence_core::answer::Problem;
use hence_core::history::{Record, RecordKind};
use hence_core::name::{EntityKey, Name, TaskId, TimelineId};
use hence_core::reason::Reason;
use hence_core::task::{Task, TaskState};
use hence_core::timeline::Timeline;
use jiff::Timestamp;

/// Where a page ended; opaque text that can be put into an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// How many rows at most, 1..=[`crate::port::BATCH_MAX`].
    pub limit: usize,
    /// Behind which row; `None` for the first page.
    pub after: Option<Cursor>,
}

impl PageRequest {
    /// The first page of that many rows.
    pub fn first(limit: usize) -> Self {
        Self { limit, after: None }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// Its rows.
    pub items: Vec<T>,
    /// Where the next page begins; `None` when there is none.
    pub next: Option<Cursor>,
}

/// Which upcoming tasks. All conditions that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpcomingFilter {
    /// Of one entity.
    pub entity: Option<EntityKey>,
    /// Of entities of one type.
    pub entity_kind: Option<Name>,
    /// Of the definition of that name; finds no ad-hoc tasks.
    pub timeline: Option<Name>,
    /// Of the step of that name, in any definition unless `timeline` says which; finds no ad-hoc tasks.
    pub step: Option<Name>,
    /// In one of these states; empty for all that are not final.
    pub states: Vec<TaskState>,
    /// Due from then on.
    pub due_from: Option<Timestamp>,
    /// Due before then.
    pub due_until: Option<Timestamp>,
}

/// Which records. All conditions that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// About one entity.
    pub entity: Option<EntityKey>,
    /// About one task.
    pub task: Option<TaskId>,
    /// Of timelines of the definition of that name.
    pub timeline: Option<Name>,
    /// About tasks of that step, in any definition unless `timeline` says which; finds no ad-hoc tasks.
    pub step: Option<Name>,
    /// Of one of these kinds; empty for all.
    pub kinds: Vec<RecordKind>,
    /// Written from then on.
    pub from: Option<Timestamp>,
    /// Written before then.
    pub until: Option<Timestamp>,
    /// In which order.
    pub order: HistoryOrder,
}

/// In which order records are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HistoryOrder {
    /// The record that was written last comes first.
    #[default]
    NewestFirst,
    /// The record that was written first comes first.
    OldestFirst,
}

/// One record of history.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryRow {
    /// Its number: rises in the order of writing.
    pub seq: i64,
    /// When it was written, by the store's clock; never falls with `seq`.
    pub written_at: Timestamp,
    /// What happened.
    pub record: Record,
    /// The name of its timeline's definition, if it belongs to one.
    pub timeline_name: Option<Name>,
}

/// What a task was made with.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskOrigin {
    /// Its number.
    pub id: TaskId,
    /// Whom it is about.
    pub entity: EntityKey,
    /// Its timeline; `None` for an ad-hoc task.
    pub timeline: Option<TimelineId>,
    /// The step it carries out; for an ad-hoc task its key.
    pub step: Name,
    /// Which occurrence; empty when the step happens once.
    pub occurrence: String,
    /// When it was planned.
    pub created_at: Timestamp,
    /// Why it exists and why then.
    pub reason: Reason,
    /// For an ad-hoc task what to deliver.
    pub action: Option<serde_json::Value>,
}

/// All that is stored of one task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskView {
    /// What it was made with.
    pub origin: TaskOrigin,
    /// The task as it stands; `None` when it is final.
    pub live: Option<Task>,
    /// What happened to it, oldest first.
    pub records: Vec<HistoryRow>,
    /// Its timeline; `None` for an ad-hoc task.
    pub timeline: Option<Timeline>,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountOf {
    /// Tasks that are not final, by the hour they are due.
    Upcoming,
    /// Tasks that became final, by the hour of that and their outcome.
    Finished,
}

/// How wide the bars of a count are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountSpan {
    /// One hour.
    Hour,
    /// One day in UTC.
    Day,
}

/// Which counts. Ad-hoc tasks are counted without timeline and step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountsFilter {
    /// What is counted.
    pub of: CountOf,
    /// In which spans.
    pub span: CountSpan,
    /// Spans that begin from then on; an instant within a span leaves that span out.
    pub from: Timestamp,
    /// Spans that begin before then.
    pub until: Timestamp,
    /// Only the definition of that name.
    pub timeline: Option<Name>,
    /// Only the step of that name.
    pub step: Option<Name>,
}

/// One counter; never zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// When its span begins.
    pub begins_at: Timestamp,
    /// The definition's name; `None` for ad-hoc tasks.
    pub timeline: Option<Name>,
    /// The step; `None` for ad-hoc tasks.
    pub step: Option<Name>,
    /// The outcome, when finished tasks are counted.
    pub outcome: Option<String>,
    /// How many.
    pub count: u64,
}

/// How many of everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tasks that are not final, by state; absent states have none.
    pub live: BTreeMap<TaskState, u64>,
    /// Tasks that became final, by outcome, pruned ones too.
    pub finished: BTreeMap<String, u64>,
    /// Known entities.
    pub entities: u64,
    /// Stored timelines.
    pub timelines: u64,
    /// Wishes in the inbox.
    pub wishes: u64,
    /// The earliest instant at which a scheduled task may start.
    pub next_wake_at: Option<Timestamp>,
}

/// Which entities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntityFilter {
    /// Of one type.
    pub kind: Option<Name>,
    /// Whose id begins so; without `kind`, whose written form `type/id` begins so.
    pub prefix: Option<String>,
    /// Only those whose wishes were tried and stay in the inbox (see `ChangeSet::postponed`).
    pub is_postponed: bool,
}

/// One entity in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntitySummary {
    /// Which.
    pub entity: EntityKey,
    /// Counts the plans that were written for it.
    pub version: i64,
    /// The earliest due instant of its tasks that are not final.
    pub next_due_at: Option<Timestamp>,
    /// When it is to be erased.
    pub erase_at: Option<Timestamp>,
    /// That its wishes were tried and stay in the inbox.
    pub postponed: Option<Postponed>,
}

/// That wishes about an entity were tried and stay in the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postponed {
    /// How many wishes about the entity are in the inbox.
    pub wishes: u64,
    /// When they were tried first.
    pub since: Timestamp,
    /// How often they were tried.
    pub tries: u32,
    /// When they are tried again.
    pub try_at: Timestamp,
    /// What kept them from being carried out the last time.
    pub problem: Problem,
}
