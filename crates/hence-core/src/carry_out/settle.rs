//! Planning and reconciling every timeline of an entity until nothing changes.
//!
//! A cancelled task can have a follow-up of its own, so one round may ask for another; a plan that is carried out asks for nothing,
//! and each step ends at most once a round, which bounds the rounds by the number of steps.

use super::Work;
use crate::history::{Record, RecordKind};
use crate::name::TaskId;
use crate::plan::{self, PlanInput};
use crate::reason::Reason;
use crate::reconcile::{self, Changes};
use crate::timeline::{Timeline, TimelineStatus};

pub(super) fn settle(work: &mut Work<'_>, cause: &str) {
    for index in 0..work.snapshot.timelines.len() {
        let rounds = work.library.version(&work.snapshot.timelines[index].definition).map_or(0, |found| found.steps.len() + 2);
        for _ in 0..rounds {
            if !round(work, index, cause) {
                break;
            }
        }
        update_status(work, index);
    }
}

/// Plans one timeline once; whether anything changed.
fn round(work: &mut Work<'_>, index: usize, cause: &str) -> bool {
    let timeline = work.snapshot.timelines[index].clone();
    let changes = compare(work, &timeline, cause);
    let is_changed = !changes.created.is_empty() || !changes.transitions.is_empty();
    for (before, transition) in changes.transitions {
        work.transit(&before, transition);
    }
    for wanted in changes.created {
        let id = TaskId(work.new_number());
        let task = reconcile::task_of(wanted, id, (timeline.id, &timeline.entity), work.now);
        work.snapshot.live.push(task.clone());
        work.changes.created.push(task);
    }
    is_changed
}

fn compare(work: &Work<'_>, timeline: &Timeline, cause: &str) -> Changes {
    let Some(definition) = work.library.version(&timeline.definition) else { return Changes::default() };
    let facts = super::facts_of(timeline, work.library);
    let (ended, live) = (super::ended_of(&work.snapshot, timeline.id), super::live_of(&work.snapshot, timeline.id));
    let events = work.events();
    let plan = plan::plan(PlanInput {
        definition,
        timeline,
        facts: &facts,
        events: &events,
        ended: &ended,
        live: &live,
        is_superseded: super::is_superseded(&work.snapshot, timeline),
        cause,
    });
    reconcile::reconcile(&plan, &live, cause, work.now)
}

fn update_status(work: &mut Work<'_>, index: usize) {
    let timeline = &work.snapshot.timelines[index];
    let id = timeline.id;
    let is_ahead = work.snapshot.live.iter().any(|task| task.timeline == Some(id));
    let status = if is_ahead { TimelineStatus::Active } else { TimelineStatus::Ended };
    if timeline.status == status {
        return;
    }
    work.snapshot.timelines[index].status = status;
    work.touch(index);
    if status == TimelineStatus::Ended {
        let reason = Reason::Note { text: "nothing is ahead".to_owned() };
        let entity = work.snapshot.entity.clone();
        let mut record = Record::about(entity, (RecordKind::Ended, work.now), reason);
        record.timeline = Some(id);
        work.snapshot.records.push(record.clone());
        work.changes.closing.push(record);
    }
}
