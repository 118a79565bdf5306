//! Codes: how states, kinds and marks stand in the rows of the SQL stores. They are read for years: one that was released keeps its meaning.

use hence_core::history::RecordKind;
use hence_core::task::{Task, TaskState};
use hence_core::timeline::TimelineStatus;

use crate::error::Error;
use crate::format::corrupt;

/// The codes of `live.state`; a running task whose answer is awaited has one of its own, so that it is found.
pub(crate) const SCHEDULED: i64 = 0;
pub(crate) const RUNNING: i64 = 1;
pub(crate) const HELD: i64 = 2;
pub(crate) const ANSWER_AWAITED: i64 = 3;

pub(crate) const POSSIBLE_DUPLICATE: i64 = 1;
pub(crate) const CANCEL_ASKED: i64 = 2;

/// The code of a task's state; only for tasks that are not final.
pub(crate) fn state_code(task: &Task) -> i64 {
    match task.state {
        TaskState::Scheduled => SCHEDULED,
        TaskState::Held => HELD,
        _ if task.answer_awaited => ANSWER_AWAITED,
        _ => RUNNING,
    }
}

/// The state of a code.
pub(crate) fn state_of(code: i64) -> Result<TaskState, Error> {
    match code {
        SCHEDULED => Ok(TaskState::Scheduled),
        RUNNING | ANSWER_AWAITED => Ok(TaskState::Running),
        HELD => Ok(TaskState::Held),
        _ => Err(corrupt("a stored task has an unknown state")),
    }
}

/// The codes of these states; of all that are not final, if none are named.
pub(crate) fn state_codes(states: &[TaskState]) -> Vec<i64> {
    if states.is_empty() {
        return vec![SCHEDULED, RUNNING, HELD, ANSWER_AWAITED];
    }
    let mut codes: Vec<i64> = states
        .iter()
        .flat_map(|state| match state {
            TaskState::Scheduled => vec![SCHEDULED],
            TaskState::Running => vec![RUNNING, ANSWER_AWAITED],
            TaskState::Held => vec![HELD],
            _ => Vec::new(),
        })
        .collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// The code of a task's marks.
pub(crate) fn flags(task: &Task) -> i64 {
    i64::from(task.possible_duplicate) * POSSIBLE_DUPLICATE + i64::from(task.cancel_asked) * CANCEL_ASKED
}

/// Whether the marks say that a cancel was asked for.
pub(crate) fn is_cancel_asked(flags: i64) -> bool {
    flags & CANCEL_ASKED != 0
}

/// The code of a kind of record; below 10 stand the kinds that most records are, which have no index.
pub(crate) fn kind_code(kind: RecordKind) -> i64 {
    match kind {
        RecordKind::Enrolled => 0,
        RecordKind::Event => 1,
        RecordKind::Facts => 2,
        RecordKind::Ended => 3,
        RecordKind::Done => 4,
        RecordKind::Refused => 10,
        RecordKind::Moved => 11,
        RecordKind::Held => 12,
        RecordKind::Released => 13,
        RecordKind::RunAsked => 14,
        RecordKind::CancelAsked => 15,
        RecordKind::Retried => 16,
        RecordKind::TakenOver => 17,
        RecordKind::AnswerAwaited => 18,
        RecordKind::LateOutcome => 19,
        RecordKind::Notice => 20,
        RecordKind::Skipped => 21,
        RecordKind::Cancelled => 22,
        RecordKind::Expired => 23,
        RecordKind::Failed => 24,
        RecordKind::Unknown => 25,
    }
}

/// The lowest code of a kind that has an index.
pub(crate) const FIRST_INDEXED_KIND: i64 = 10;

/// The kind of a code.
pub(crate) fn kind_of(code: i64) -> Result<RecordKind, Error> {
    let found = RecordKind::ALL.into_iter().find(|kind| kind_code(*kind) == code);
    found.ok_or_else(|| corrupt("a stored record is of an unknown kind"))
}

/// The code of a timeline's status.
pub(crate) fn status_code(status: TimelineStatus) -> i64 {
    match status {
        TimelineStatus::Active => 0,
        TimelineStatus::Ended => 1,
    }
}

/// The subjects of counters.
pub(crate) const UPCOMING: i64 = 0;
pub(crate) const FINISHED: i64 = 1;
