//! Taking change sets one after the other: each is held against what is stored and what those before it have made of that, and then either
//! refused, leaving nothing, or taken whole. Nothing is sent to the database here.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use hence_core::history::{Record, RecordKind};
use hence_core::name::TimelineId;
use hence_core::task::Task;
use hence_core::timeline::{ChangeSet, Postponement, TaskWrite, Timeline};
use jiff::Timestamp;

use super::stored::{Live, LiveRow, LiveState, Stored, has_step, is_state};
use crate::codes::state_of;
use crate::format::{micros, write_json, write_reason};
use crate::port::Conflict;
use crate::postgres::row::escape;
use crate::tallies::Tallies;

/// What the change sets that were taken come to, beside what `Stored` keeps.
pub(super) struct Changing<'c> {
    pub(super) now: Timestamp,
    pub(super) wishes: Vec<i64>,
    /// Places of entities of whose wishes some were carried out.
    pub(super) settled: BTreeSet<usize>,
    /// By the entity's place, the newest one.
    pub(super) postponed: BTreeMap<usize, &'c Postponement>,
    /// By number; the entity's place and the newest form.
    pub(super) timelines: BTreeMap<i64, (usize, &'c Timeline)>,
    /// By number; the entity's place and the step.
    pub(super) bodies: BTreeMap<i64, (usize, i64, &'c Task)>,
    /// By number; reason and action.
    pub(super) moved: BTreeMap<i64, (String, Option<String>)>,
    /// The entity's place, the step and the record, in the order of writing.
    pub(super) records: Vec<(usize, Option<i64>, &'c Record)>,
    pub(super) tallies: Tallies,
}

impl<'c> Changing<'c> {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            now,
            wishes: Vec::new(),
            settled: BTreeSet::new(),
            postponed: BTreeMap::new(),
            timelines: BTreeMap::new(),
            bodies: BTreeMap::new(),
            moved: BTreeMap::new(),
            records: Vec::new(),
            tallies: Tallies::default(),
        }
    }

    /// Takes all of the change set, or says why nothing of it may be written.
    pub(super) fn take(&mut self, stored: &mut Stored, changes: &'c ChangeSet) -> Result<(), Conflict> {
        let place = stored.place(changes);
        check(stored, changes, place)?;
        self.apply(stored, changes, place);
        Ok(())
    }

    fn apply(&mut self, stored: &mut Stored, changes: &'c ChangeSet, place: usize) {
        let entity = &mut stored.entities[place];
        let plans = i64::from(changes.planned_from.is_some());
        entity.version += plans;
        let touched = entity.touched.get_or_insert_default();
        touched.plans += plans;
        if let Some(erase_at) = changes.erase_at.map(micros) {
            touched.erase_at = Some(touched.erase_at.map_or(erase_at, |before| before.min(erase_at)));
        }
        for id in &changes.carried_out {
            stored.wishes.remove(&id.0);
            self.wishes.push(id.0);
        }
        if !changes.carried_out.is_empty() {
            self.settled.insert(place);
            self.postponed.remove(&place);
        }
        if let Some(postponement) = &changes.postponed {
            self.postponed.insert(place, postponement);
        }
        for timeline in &changes.timelines {
            let known = stored.timelines.insert(timeline.id.0, (Some(place), timeline.name.as_str().to_owned()));
            self.tallies.add("timelines", i64::from(known.is_none()));
            self.timelines.insert(timeline.id.0, (place, timeline));
        }
        for record in &changes.records {
            self.record(stored, changes, (place, record));
        }
        for task in &changes.created {
            self.create(stored, changes, (place, task));
        }
        for write in &changes.transitions {
            self.transit(stored, write, place);
        }
        for record in &changes.closing {
            self.record(stored, changes, (place, record));
        }
    }

    fn record(&mut self, stored: &Stored, changes: &ChangeSet, (place, record): (usize, &'c Record)) {
        let timeline = record.timeline.and_then(|id| stored.name_of(changes, id.0));
        let step = record.step.as_ref().map(|step| step.as_str());
        let step = if has_step(record) { stored.step(timeline, changes.entity.kind().as_str(), step) } else { None };
        self.records.push((place, step, record));
    }

    fn create(&mut self, stored: &mut Stored, changes: &ChangeSet, (place, task): (usize, &'c Task)) {
        let step = step_of(stored, changes, task);
        stored.bodies.insert(task.id.0);
        if let Some(timeline) = task.timeline {
            stored.occurrences.insert((timeline.0, step, escape(&task.occurrence)));
        }
        self.bodies.insert(task.id.0, (place, step, task));
        let (row, state) = (LiveRow::of(task), LiveState::of(task));
        self.tallies.add_live(task.state, step, row.due_at, 1);
        let timeline = task.timeline.map(|id| id.0);
        let made = Live { entity: Some(place), timeline, step, before: None, state, after: Some(Some(row)) };
        stored.live.insert(task.id.0, made);
    }

    fn transit(&mut self, stored: &mut Stored, write: &'c TaskWrite, place: usize) {
        // `check` has just found it.
        let Some(live) = stored.live.get_mut(&write.id.0) else { return };
        let task = &write.task;
        let step = live.step;
        self.tallies.add_live(write.state_before, step, live.state.due_at, -1);
        if task.state.is_final() {
            let outcome = write.record.as_ref().and_then(|record| record.outcome.as_deref());
            self.tallies.add_finished(step, outcome.unwrap_or(task.state.as_str()), self.now);
            live.after = Some(None);
        } else {
            self.tallies.add_live(task.state, step, micros(task.due_at), 1);
            live.after = Some(Some(LiveRow::of(task)));
            live.state = LiveState::of(task);
        }
        if let Some(record) = &write.record {
            if record.kind == RecordKind::Moved {
                self.moved.insert(write.id.0, (write_reason(&task.reason), task.action.as_ref().map(write_json)));
            }
            self.records.push((place, Some(step), record));
        }
    }
}

fn check(stored: &Stored, changes: &ChangeSet, place: usize) -> Result<(), Conflict> {
    let version = stored.entities[place].version;
    if let Some(planned_from) = changes.planned_from
        && planned_from != version
    {
        return Err(Conflict::VersionChanged { planned_from, stored: version });
    }
    if let Some(gone) = changes.carried_out.iter().find(|id| !stored.wishes.contains(&id.0)) {
        return Err(Conflict::WishGone(*gone));
    }
    if let Some(Postponement { wish, .. }) = &changes.postponed
        && (!stored.wishes.contains(&wish.0) || stored.wish_of.get(&wish.0).copied() != stored.entities[place].id)
    {
        return Err(Conflict::WishGone(*wish));
    }
    for timeline in &changes.timelines {
        if stored.timelines.get(&timeline.id.0).is_some_and(|(owner, _)| *owner != Some(place)) {
            return Err(Conflict::Invalid(format!("{} is of another entity", timeline.id)));
        }
    }
    for record in changes.records.iter().chain(&changes.closing) {
        check_timeline(stored, changes, (place, record.timeline))?;
    }
    let mut new: HashSet<(i64, i64, String)> = HashSet::new();
    for task in &changes.created {
        check_timeline(stored, changes, (place, task.timeline))?;
        let mut is_taken = stored.bodies.contains(&task.id.0);
        if let Some(timeline) = task.timeline {
            let occurrence = (timeline.0, step_of(stored, changes, task), escape(&task.occurrence));
            is_taken |= stored.occurrences.contains(&occurrence) || !new.insert(occurrence);
        }
        if is_taken {
            return Err(Conflict::DuplicateTask(task.id));
        }
    }
    changes.transitions.iter().try_for_each(|write| check_transition(stored, write, place))
}

fn check_timeline(stored: &Stored, changes: &ChangeSet, (place, id): (usize, Option<TimelineId>)) -> Result<(), Conflict> {
    let Some(id) = id else { return Ok(()) };
    let is_stored = stored.timelines.get(&id.0).is_some_and(|(owner, _)| *owner == Some(place));
    if is_stored || changes.timelines.iter().any(|timeline| timeline.id == id) {
        return Ok(());
    }
    Err(Conflict::UnknownTimeline(id))
}

fn check_transition(stored: &Stored, write: &TaskWrite, place: usize) -> Result<(), Conflict> {
    let changed = Conflict::TaskChanged(write.id);
    let Some(live) = stored.live.get(&write.id.0).filter(|live| !matches!(live.after, Some(None))) else { return Err(changed) };
    let is_same = live.entity == Some(place) && live.timeline == write.task.timeline.map(|id| id.0);
    let is_marked_so = live.state.is_cancel_asked == write.cancel_asked_before;
    let is_expected = is_marked_so && is_state(live.state.code, write.state_before) && live.state.fence == write.fence_before.0;
    if is_same && is_expected && state_of(live.state.code).is_ok() { Ok(()) } else { Err(changed) }
}

/// The step of a new task. All steps that change sets name were asked for, so that it is there once its timeline is known.
fn step_of(stored: &Stored, changes: &ChangeSet, task: &Task) -> i64 {
    let timeline = task.timeline.and_then(|id| stored.name_of(changes, id.0));
    stored.step(timeline, changes.entity.kind().as_str(), Some(task.step.as_str())).unwrap_or_default()
}
