//! Writing a change set: first everything is checked, then everything is done.

use hence_core::history::RecordKind;
use hence_core::name::{EntityKey, TimelineId};
use hence_core::sabotage::{Bug, is_planted};
use hence_core::task::{Task, TaskState};
use hence_core::timeline::{ChangeSet, Postponement, TaskWrite};
use jiff::Timestamp;

use super::state::State;
use crate::changes;
use crate::format::cut;
use crate::port::{Conflict, Postponed, TaskOrigin};

/// Writes all of the change set, or says why nothing of it was written.
pub(super) fn write(state: &mut State, changes: ChangeSet, now: Timestamp) -> Result<(), Conflict> {
    changes::check(&changes)?;
    check_stored(state, &changes)?;
    apply(state, changes, now);
    Ok(())
}

fn check_stored(state: &State, changes: &ChangeSet) -> Result<(), Conflict> {
    let stored = state.entities.get(&changes.entity).map_or(0, |row| row.version);
    if let Some(planned_from) = changes.planned_from
        && planned_from != stored
        && !is_planted(Bug::F34)
    {
        return Err(Conflict::VersionChanged { planned_from, stored });
    }
    if let Some(gone) = changes.carried_out.iter().find(|id| !state.wishes.contains_key(id)) {
        return Err(Conflict::WishGone(*gone));
    }
    if let Some(Postponement { wish, .. }) = &changes.postponed
        && state.wishes.get(wish).is_none_or(|stored| *stored.wish.entity() != changes.entity)
    {
        return Err(Conflict::WishGone(*wish));
    }
    for timeline in &changes.timelines {
        if state.timelines.get(&timeline.id).is_some_and(|stored| stored.entity != changes.entity) {
            return Err(Conflict::Invalid(format!("{} is of another entity", timeline.id)));
        }
    }
    for record in changes.records.iter().chain(&changes.closing) {
        check_timeline(state, changes, record.timeline)?;
    }
    for task in &changes.created {
        check_timeline(state, changes, task.timeline)?;
        let mut others = state.origins.values().map(|origin| (origin.id, origin.timeline, &origin.step, &origin.occurrence));
        let is_taken = others.any(|(id, timeline, step, occurrence)| {
            let is_same = timeline.is_some() && timeline == task.timeline && *step == task.step && *occurrence == task.occurrence;
            id == task.id || is_same
        });
        let mut created = changes.created.iter().take_while(|other| other.id != task.id);
        let is_twice = created.any(|other| {
            other.timeline.is_some()
                && (other.timeline, &other.step, &other.occurrence) == (task.timeline, &task.step, &task.occurrence)
        });
        if is_taken || is_twice {
            return Err(Conflict::DuplicateTask(task.id));
        }
    }
    changes.transitions.iter().try_for_each(|write| check_transition(state, write))
}

fn check_timeline(state: &State, changes: &ChangeSet, id: Option<TimelineId>) -> Result<(), Conflict> {
    let Some(id) = id else { return Ok(()) };
    let is_stored = state.timelines.get(&id).is_some_and(|timeline| timeline.entity == changes.entity);
    if is_stored || changes.timelines.iter().any(|timeline| timeline.id == id) {
        return Ok(());
    }
    Err(Conflict::UnknownTimeline(id))
}

fn check_transition(state: &State, write: &TaskWrite) -> Result<(), Conflict> {
    let holds = |stored: &Task| {
        let is_same =
            stored.entity == write.task.entity && stored.timeline == write.task.timeline && stored.step == write.task.step;
        let is_in_state = stored.state == write.state_before || is_planted(Bug::F1);
        let is_under_fence = stored.fence == write.fence_before || is_planted(Bug::F2);
        let is_marked_so = stored.cancel_asked == write.cancel_asked_before;
        is_same && is_in_state && is_under_fence && is_marked_so
    };
    if state.live.get(&write.id).is_some_and(holds) { Ok(()) } else { Err(Conflict::TaskChanged(write.id)) }
}

fn apply(state: &mut State, changes: ChangeSet, now: Timestamp) {
    let row = state.entity(&changes.entity, now);
    if changes.planned_from.is_some() {
        row.version += 1;
    }
    if let Some(erase_at) = changes.erase_at.map(cut) {
        row.erase_at = Some(row.erase_at.map_or(erase_at, |stored| stored.min(erase_at)));
    }
    for id in &changes.carried_out {
        state.wishes.remove(id);
        state.postponed.remove(&changes.entity);
    }
    if let Some(postponement) = changes.postponed {
        postpone(state, &changes.entity, postponement, now);
    }
    for mut timeline in changes.timelines {
        timeline.enrolled_at = cut(timeline.enrolled_at);
        state.timelines.insert(timeline.id, timeline);
    }
    for record in changes.records {
        state.add_record(record, now);
    }
    for task in changes.created {
        let task = kept(task);
        state.origins.insert(task.id, origin(&task));
        state.live.insert(task.id, task);
    }
    for write in changes.transitions {
        transit(state, write, now);
    }
    for record in changes.closing {
        state.add_record(record, now);
    }
    state.touch(&changes.entity, now);
}

fn postpone(state: &mut State, entity: &EntityKey, postponement: Postponement, now: Timestamp) {
    let before = state.postponed.get(entity);
    let postponed = Postponed {
        wishes: 0,
        since: before.map_or(now, |before| before.since),
        tries: before.map_or(0, |before| before.tries).saturating_add(1),
        try_at: cut(postponement.try_at),
        problem: postponement.problem,
    };
    state.postponed.insert(entity.clone(), postponed);
}

fn transit(state: &mut State, write: TaskWrite, now: Timestamp) {
    let Some(stored) = state.live.get_mut(&write.id) else { return };
    let mut task = kept(write.task);
    let is_moved = write.record.as_ref().is_some_and(|record| record.kind == RecordKind::Moved);
    if is_moved {
        if let Some(origin) = state.origins.get_mut(&task.id) {
            origin.reason = task.reason.clone();
            origin.action = task.action.clone();
        }
    } else {
        task.reason = stored.reason.clone();
        task.action = stored.action.clone();
    }
    task.occurrence = stored.occurrence.clone();
    task.created_at = stored.created_at;
    let (id, end) = (task.id, task.state);
    *stored = task;
    if end.is_final() {
        if is_planted(Bug::F20) {
            let behind = state.live[&id].due_at;
            state.live.retain(|_, other| other.id == id || other.due_at >= behind || other.state != TaskState::Scheduled);
        }
        let outcome = write.record.as_ref().and_then(|record| record.outcome.clone());
        state.finish(id, outcome.as_deref().unwrap_or(end.as_str()), now);
    }
    if let Some(record) = write.record {
        state.add_record(record, now);
    }
}

fn origin(task: &Task) -> TaskOrigin {
    TaskOrigin {
        id: task.id,
        entity: task.entity.clone(),
        timeline: task.timeline,
        step: task.step.clone(),
        occurrence: task.occurrence.clone(),
        created_at: task.created_at,
        reason: task.reason.clone(),
        action: task.action.clone(),
    }
}

/// The task as a store keeps it.
fn kept(mut task: Task) -> Task {
    task.due_at = cut(task.due_at);
    task.wake_at = cut(task.wake_at);
    task.created_at = cut(task.created_at);
    task.started_at = task.started_at.map(cut);
    task.answer_awaited &= task.state == hence_core::task::TaskState::Running;
    task
}
