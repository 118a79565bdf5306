//! Operating on the stored tasks of one step: a cancel or a move that was told through the inbox.
//!
//! Linearised against starts by the inbox itself: no task of an entity starts while a wish about it is there, so what this finds running
//! was started before the wish was accepted. A task that ended before it is left as it is (G13).

use super::{WishResult, Work, with_origin};
use crate::name::Name;
use crate::task::{Task, TaskEvent};

/// Applies the event to every task of the step that is not final, and was not made by the same plan.
pub(super) fn operate(
    work: &mut Work<'_>,
    (timeline, step): (Option<&Name>, &Name),
    event: &TaskEvent,
) -> Result<WishResult, (&'static str, String)> {
    let of_timeline: Vec<_> =
        work.snapshot.timelines.iter().filter(|known| Some(&known.name) == timeline).map(|known| known.id).collect();
    let is_of = |id: Option<crate::name::TimelineId>| match id {
        None => timeline.is_none(),
        Some(id) => of_timeline.contains(&id),
    };
    let found: Vec<Task> = work.snapshot.live.iter().filter(|task| task.step == *step && is_of(task.timeline)).cloned().collect();
    let mut problem = None;
    let is_asked_already = |task: &&Task| task.cancel_asked && matches!(event, TaskEvent::Cancel { .. });
    for task in found.iter().filter(|task| !is_asked_already(task)) {
        match task.apply(with_origin(task, event.clone()), work.now) {
            Ok(transition) => work.transit(task, transition),
            Err(refused) => problem = Some(refused.to_string()),
        }
    }
    let was_there = work.snapshot.records.iter().any(|record| record.step.as_ref() == Some(step) && is_of(record.timeline));
    match problem {
        Some(problem) => Err(("HNC-0310", problem)),
        None if found.is_empty() && !was_there => Err(("HNC-0310", format!("{} has no task `{step}`", work.snapshot.entity))),
        None => Ok(WishResult::Told),
    }
}
