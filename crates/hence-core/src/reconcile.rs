//! Reconcile: the plan against the stored tasks gives changes, each with its reason.
//!
//! A wanted task that is not stored is created, one at another instant is moved, a stored one that is not wanted is cancelled; a
//! running one is only asked to stop, and only because of an event. What is equal is kept, so planning twice changes nothing.

use jiff::Timestamp;

use crate::name::{EntityKey, Fence, TaskId, TimelineId};
use crate::plan::{self, Absent, Plan, Wanted};
use crate::reason::Reason;
use crate::sabotage::{Bug, is_planted};
use crate::task::{Task, TaskEvent, TaskState, Transition};

/// What must be written so that the stored tasks are those of the plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// Tasks to create.
    pub created: Vec<Wanted>,
    /// Moves and cancels, each with the task before it.
    pub transitions: Vec<(Task, Transition)>,
    /// How many stored tasks stay as they are.
    pub kept: usize,
}

/// Compares the plan of a timeline with its stored tasks.
pub fn reconcile(plan: &Plan, live: &[Task], cause: &str, now: Timestamp) -> Changes {
    let mut changes = Changes::default();
    for task in live {
        match plan.wanted.iter().find(|wanted| is_of(task, wanted)) {
            Some(wanted) => keep_or_move(task, wanted, cause, now, &mut changes),
            None => cancel(task, plan, cause, now, &mut changes),
        }
    }
    let is_new = |wanted: &&Wanted| !live.iter().any(|task| is_of(task, wanted));
    changes.created = plan.wanted.iter().filter(is_new).cloned().collect();
    changes
}

/// The waiting task that a wanted one becomes.
pub fn task_of(wanted: Wanted, id: TaskId, (timeline, entity): (TimelineId, &EntityKey), now: Timestamp) -> Task {
    Task {
        id,
        timeline: Some(timeline),
        entity: entity.clone(),
        step: wanted.step,
        occurrence: wanted.occurrence,
        due_at: wanted.due_at,
        wake_at: wanted.due_at,
        state: TaskState::Scheduled,
        fence: Fence(0),
        started_at: None,
        attempt: 0,
        takeovers: 0,
        possible_duplicate: false,
        cancel_asked: false,
        answer_awaited: false,
        created_at: now,
        reason: wanted.reason,
        action: None,
    }
}

fn is_of(task: &Task, wanted: &Wanted) -> bool {
    task.step == wanted.step && task.occurrence == wanted.occurrence
}

fn keep_or_move(task: &Task, wanted: &Wanted, cause: &str, now: Timestamp, changes: &mut Changes) {
    let is_same = task.due_at == wanted.due_at || task.state == TaskState::Running;
    // Where a person has put it, there it stays until an event cancels it.
    if is_same || task.reason.is_of_person() {
        changes.kept += 1;
        return;
    }
    let reason = Reason::Moved { from: task.due_at, cause: cause.to_owned(), because: Box::new(wanted.reason.clone()) };
    if let Ok(transition) = task.apply(TaskEvent::Move { due_at: wanted.due_at, reason }, now) {
        changes.transitions.push((task.clone(), transition));
    }
}

fn cancel(task: &Task, plan: &Plan, cause: &str, now: Timestamp, changes: &mut Changes) {
    let absent = absence_of(task, plan);
    let because = absent.map_or_else(|| replaced(task, plan), |absent| absent.reason.clone());
    let is_event = matches!(because, Reason::Event { .. });
    let is_under_way = task.state == TaskState::Running;
    // What a person wanted stands beside the plan. An event takes it back in the write that records it, as everything that is there
    // then (G13); clocks are not asked, for they can be set back between the two.
    let is_taken_back = absent.is_some_and(|absent| absent.is_cancelled_now);
    let is_wanted_by_person = task.reason.is_of_person() && !is_taken_back;
    if (is_under_way && (task.cancel_asked || !is_event || is_planted(Bug::F55))) || is_wanted_by_person {
        changes.kept += 1;
        return;
    }
    // What it had to come before has begun, so it cannot be wanted again: that is its end, and not the work of anybody.
    if matches!(&because, Reason::Before { how, .. } if how == plan::STARTED || how == plan::ENDED) {
        if let Ok(transition) = task.apply(TaskEvent::Skip { reason: because }, now) {
            changes.transitions.push((task.clone(), transition));
        }
        return;
    }
    let reason = if is_event || matches!(because, Reason::Unplanned { .. }) {
        because
    } else {
        Reason::Unplanned { cause: cause.to_owned(), because: Box::new(because) }
    };
    if let Ok(transition) = task.apply(TaskEvent::Cancel { reason }, now) {
        changes.transitions.push((task.clone(), transition));
    }
}

/// Why a task is not wanted whose step has another one instead, or is no step of the definition.
fn replaced(task: &Task, plan: &Plan) -> Reason {
    let text = match plan.wanted.iter().find(|wanted| wanted.step == task.step) {
        Some(other) if other.occurrence.is_empty() => format!("{} is planned anew", task.step),
        Some(other) => format!("the next {} is that of {}", task.step, other.occurrence),
        None => "the plan has no such step".to_owned(),
    };
    Reason::Note { text }
}

/// The plan's word on a step and occurrence, else on the step as a whole.
fn absence_of<'p>(task: &Task, plan: &'p Plan) -> Option<&'p Absent> {
    let of_step = || plan.absent.iter().filter(|absent| absent.step == task.step);
    of_step().find(|absent| absent.occurrence == task.occurrence).or_else(|| of_step().next())
}
