//! What erasing leaves: reasons without their personal parts, and the records that end what was ahead. The same for all stores.

use std::collections::BTreeMap;

use hence_core::history::{Record, RecordKind};
use hence_core::name::EntityKey;
use hence_core::reason::Reason;
use hence_core::task::{Task, TaskState};
use hence_core::wish::Wish;
use jiff::Timestamp;
use serde_json::Value;

use crate::port::InboxEntry;

/// The last wish that an erasure takes along: the newest that asks for it, else all of them.
pub(crate) fn last_erased(wishes: &[InboxEntry]) -> i64 {
    let is_erasure = |entry: &&InboxEntry| matches!(entry, InboxEntry::Wish(stored) if matches!(stored.wish, Wish::Erase { .. }));
    wishes.iter().filter(is_erasure).map(|entry| entry.id().0).max().unwrap_or(i64::MAX)
}

/// What stands in place of an erased text.
const ERASED: &str = "erased";

/// The reason without what callers, receivers or people told: facts, payloads, results, problems, names of actors.
///
/// What the definition says (rules, steps, names) stays, so that history still tells what was done.
pub(crate) fn scrub(reason: Reason) -> Reason {
    let erased = || ERASED.to_owned();
    match reason {
        kept @ (Reason::Planned { .. }
        | Reason::Followed { .. }
        | Reason::Late { .. }
        | Reason::Before { .. }
        | Reason::NodeLost { .. }
        | Reason::NoAnchor { .. }
        | Reason::NotFollowed { .. }
        | Reason::NoMore { .. }) => kept,
        Reason::Enrolled { definition, version, run, .. } => Reason::Enrolled { definition, version, run, actor: erased() },
        Reason::Event { name, at, .. } => Reason::Event { name, at, actor: erased(), data: Value::Null, text: None },
        Reason::Facts { .. } => Reason::Facts { facts: Value::Null, actor: erased() },
        Reason::Condition { when, .. } => Reason::Condition { when, facts: BTreeMap::new() },
        Reason::Answered { when, possible_duplicate, .. } => {
            Reason::Answered { to: erased(), facts: BTreeMap::new(), when, result: Value::Null, possible_duplicate }
        }
        Reason::Failed { code, retry_at, .. } => Reason::Failed { code, problem: erased(), retry_at },
        Reason::Person { .. } => Reason::Person { actor: erased(), text: erased() },
        Reason::Unplanned { cause, because } => Reason::Unplanned { cause, because: Box::new(scrub(*because)) },
        Reason::Moved { from, cause, because } => Reason::Moved { from, cause, because: Box::new(scrub(*because)) },
        Reason::NoInstant { .. } => Reason::NoInstant { problem: erased() },
        Reason::AdHoc { .. } => Reason::AdHoc { actor: erased(), text: erased() },
        Reason::Refused { code, .. } => Reason::Refused { code, problem: erased() },
        // A note, and every kind of reason that is not known here: better too little kept than too much.
        _ => Reason::Note { text: erased() },
    }
}

/// How a task ends when its entity is erased: what waits is cancelled; of what runs nobody can know whether it arrives.
pub(crate) fn ending(task: &Task, now: Timestamp) -> (TaskState, Record) {
    let (state, kind) = match task.state {
        TaskState::Running => (TaskState::Unknown, RecordKind::Unknown),
        _ => (TaskState::Cancelled, RecordKind::Cancelled),
    };
    let record = Record {
        at: now,
        kind,
        entity: task.entity.clone(),
        timeline: task.timeline,
        task: Some(task.id),
        step: Some(task.step.clone()),
        occurrence: task.occurrence.clone(),
        due_at: Some(task.due_at),
        started_at: task.started_at,
        fence: task.fence,
        attempt: task.attempt,
        outcome: Some(state.as_str().to_owned()),
        reason: Reason::Note { text: ERASED.to_owned() },
    };
    (state, record)
}

/// The proof that an entity was erased.
pub(crate) fn proof(entity: &EntityKey, now: Timestamp) -> Record {
    Record::about(entity.clone(), (RecordKind::Notice, now), Reason::Note { text: ERASED.to_owned() })
}
