//! Scheduling one task without a definition, under a key of the entity.
//!
//! A key names at most one waiting task: scheduling it again gives that task the new instant and the new action. An attempt under way
//! is not changed; it gets no further attempt, and a new task stands for what was told last, so that nothing told is forgotten (G14).
//! So it is with a task whose attempt may have arrived: under its id a receiver would take what is told now for a repetition (G16).

use jiff::Timestamp;

use super::{WishResult, Work};
use crate::definition::AdHoc;
use crate::name::{Name, TaskId, TimelineId};
use crate::plan::Wanted;
use crate::reason::Reason;
use crate::reconcile;
use crate::task::{Task, TaskEvent, TaskState};
use crate::wish::StoredWish;

pub(super) fn schedule(
    work: &mut Work<'_>,
    stored: &StoredWish,
    (key, due_at, action): (&Name, Timestamp, &serde_json::Value),
) -> Result<WishResult, (&'static str, String)> {
    AdHoc::read(key, action).map_err(|problems| {
        let said: Vec<String> = problems.iter().map(|problem| format!("{} ({})", problem.message, problem.help)).collect();
        ("HNC-0308", said.join("; "))
    })?;
    // Stores keep whole microseconds; a finer instant would differ from its own stored form.
    let due_at = Timestamp::from_microsecond(due_at.as_microsecond()).unwrap_or(due_at);
    let reason = Reason::AdHoc { actor: stored.actor.clone(), text: String::new() };
    let of_key = |task: &&Task| task.timeline.is_none() && &task.step == key;
    let known: Vec<Task> = work.snapshot.live.iter().filter(of_key).cloned().collect();
    let is_told = |task: &&Task| task.due_at == due_at && task.action.as_ref() == Some(action);
    // What is held waits for a person, whatever it has sent.
    let may_change = |task: &&Task| match task.state {
        TaskState::Running => false,
        TaskState::Held => true,
        _ => !task.possible_duplicate || is_told(task),
    };
    let changed = known.iter().find(may_change);
    let is_other = |task: &&Task| !task.cancel_asked && changed.is_none_or(|changed| changed.id != task.id);
    for other in known.iter().filter(is_other) {
        let text = format!("{key} was scheduled anew");
        let event = TaskEvent::Cancel { reason: Reason::Person { actor: stored.actor.clone(), text } };
        if let Ok(transition) = other.apply(event, work.now) {
            work.transit(other, transition);
        }
    }
    if let Some(task) = changed {
        change(work, task, (due_at, action), reason);
        return Ok(WishResult::Told);
    }
    let wanted = Wanted { step: key.clone(), occurrence: String::new(), due_at, reason };
    let (id, entity) = (TaskId(work.new_number()), work.snapshot.entity.clone());
    let mut task = reconcile::task_of(wanted, id, (TimelineId(0), &entity), work.now);
    task.timeline = None;
    task.action = Some(action.clone());
    work.snapshot.live.push(task.clone());
    work.changes.created.push(task);
    Ok(WishResult::Told)
}

/// Gives a waiting task another instant and action; what is equal changes nothing.
fn change(work: &mut Work<'_>, task: &Task, (due_at, action): (Timestamp, &serde_json::Value), reason: Reason) {
    if task.due_at == due_at && task.action.as_ref() == Some(action) {
        return;
    }
    if let Ok(mut transition) = task.apply(TaskEvent::Move { due_at, reason: reason.clone() }, work.now) {
        transition.task.action = Some(action.clone());
        transition.task.reason = reason;
        work.transit(task, transition);
    }
}
