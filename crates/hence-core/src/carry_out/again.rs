//! Running an ended task again, because a person wants it: a new task, due at once, whose reason names the old one.
//!
//! It stands beside the plan under a key of its own, so a follow-up that the old one has had does not come a second time; an outcome that
//! is new is followed. An occurrence that is ahead already is not run a second time.

use jiff::Timestamp;

use super::{Work, settle};
use crate::history::{Record, RecordKind};
use crate::library::Library;
use crate::name::{TaskId, TimelineId};
use crate::plan::{self, Wanted};
use crate::reason::Reason;
use crate::reconcile;
use crate::task::{Refused, Task};
use crate::timeline::{ChangeSet, EntitySnapshot};

/// What a person wants done once more.
#[derive(Debug, Clone)]
pub struct RunAgain<'a> {
    /// The record with which the task ended.
    pub ended: &'a Record,
    /// What an ad-hoc task delivers.
    pub action: Option<serde_json::Value>,
    /// Who.
    pub actor: &'a str,
    /// Why, in their words; may be empty.
    pub text: &'a str,
}

/// A new task that does at once what an ended one did.
/// # Errors
/// [`Refused::Ahead`]: that occurrence waits, runs or is held already; nothing changes.
pub fn run_again(
    snapshot: &EntitySnapshot,
    again: RunAgain<'_>,
    library: &Library,
    now: Timestamp,
) -> Result<ChangeSet, Refused> {
    let mut work = Work::new(snapshot, library, now);
    let ended = again.ended;
    let (Some(step), Some(old)) = (&ended.step, ended.task) else { return Ok(work.changes) };
    let base = plan::base_of(&ended.occurrence);
    let is_ahead =
        |task: &&Task| task.timeline == ended.timeline && &task.step == step && plan::base_of(&task.occurrence) == base;
    if let Some(task) = snapshot.live.iter().find(is_ahead) {
        return Err(Refused::Ahead(task.id));
    }
    let is_same = |record: &&Record| record.timeline == ended.timeline && record.step.as_ref() == Some(step);
    let known = snapshot.records.iter().filter(is_same).map(|record| record.occurrence.as_str());
    let occurrence = plan::next_run(&ended.occurrence, known);
    let reason = Reason::RunAgain { task: old.0, actor: again.actor.to_owned(), text: again.text.to_owned() };
    let wanted = Wanted { step: step.clone(), occurrence, due_at: now, reason: reason.clone() };
    let id = TaskId(work.new_number());
    let mut task = reconcile::task_of(wanted, id, (ended.timeline.unwrap_or(TimelineId(0)), &snapshot.entity), now);
    task.timeline = ended.timeline;
    task.action = again.action;
    let mut asked = Record::about(snapshot.entity.clone(), (RecordKind::RunAsked, now), reason);
    asked.timeline = task.timeline;
    asked.task = Some(id);
    asked.step = Some(step.clone());
    asked.occurrence.clone_from(&task.occurrence);
    asked.due_at = Some(now);
    work.snapshot.records.push(asked.clone());
    work.changes.records.push(asked);
    work.snapshot.live.push(task.clone());
    work.changes.created.push(task);
    // Its timeline may have ended, and has something ahead now.
    settle::settle(&mut work, "run again");
    Ok(work.changes)
}
