//! History: what happened to an entity, one record each, and the fold that gives back the state of a task.
//!
//! A record is written in the transaction of what it tells. It never changes and carries its reason as data.

use jiff::Timestamp;

use crate::name::{EntityKey, Fence, Name, TaskId, TimelineId};
use crate::reason::Reason;
use crate::task::TaskState;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When, by the store's clock; for an event when it happened, by its teller.
    pub at: Timestamp,
    /// What kind of thing.
    pub kind: RecordKind,
    /// To whom.
    pub entity: EntityKey,
    /// In which timeline, if in one.
    pub timeline: Option<TimelineId>,
    /// To which task, if to one.
    pub task: Option<TaskId>,
    /// The step of that task.
    pub step: Option<Name>,
    /// The occurrence of that step; empty when it happens once.
    pub occurrence: String,
    /// When the task was due; for [`RecordKind::Moved`] the new instant.
    pub due_at: Option<Timestamp>,
    /// When the attempt that ended was started.
    pub started_at: Option<Timestamp>,
    /// The fence of that attempt; zero when there was none.
    pub fence: Fence,
    /// The number of that attempt; zero when there was none.
    pub attempt: u32,
    /// For a final record the outcome's word: `done`, a word that the step says, `skipped`, …
    pub outcome: Option<String>,
    /// Why, as data.
    pub reason: Reason,
}

impl Record {
    /// A record about the entity as a whole, or about a timeline once that is set: it speaks of no task.
    pub fn about(entity: EntityKey, (kind, at): (RecordKind, Timestamp), reason: Reason) -> Self {
        Self {
            at,
            kind,
            entity,
            timeline: None,
            task: None,
            step: None,
            occurrence: String::new(),
            due_at: None,
            started_at: None,
            fence: Fence(0),
            attempt: 0,
            outcome: None,
            reason,
        }
    }
}

/// The kinds of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKind {
    /// An entity was enrolled: a timeline began.
    Enrolled,
    /// An event was told.
    Event,
    /// Facts were told or read anew.
    Facts,
    /// A timeline ended: nothing is ahead.
    Ended,
    /// A wish could not be carried out.
    Refused,
    /// A task got another instant.
    Moved,
    /// A task waits for a person.
    Held,
    /// A person let a task go on.
    Released,
    /// A person wanted a task to run at once.
    RunAsked,
    /// A running task was cancelled: no further attempt.
    CancelAsked,
    /// An attempt failed; another follows.
    Retried,
    /// An attempt's node died; another follows.
    TakenOver,
    /// The receiver will answer later.
    AnswerAwaited,
    /// An answer came after the task was final; nothing changed.
    LateOutcome,
    /// A clock or lease problem, or an erasure, that a person should know of.
    Notice,
    /// Final.
    Done,
    /// Final.
    Skipped,
    /// Final.
    Cancelled,
    /// Final.
    Expired,
    /// Final.
    Failed,
    /// Final.
    Unknown,
}

impl RecordKind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [RecordKind; 21] = [
        RecordKind::Enrolled,
        RecordKind::Event,
        RecordKind::Facts,
        RecordKind::Ended,
        RecordKind::Refused,
        RecordKind::Moved,
        RecordKind::Held,
        RecordKind::Released,
        RecordKind::RunAsked,
        RecordKind::CancelAsked,
        RecordKind::Retried,
        RecordKind::TakenOver,
        RecordKind::AnswerAwaited,
        RecordKind::LateOutcome,
        RecordKind::Notice,
        RecordKind::Done,
        RecordKind::Skipped,
        RecordKind::Cancelled,
        RecordKind::Expired,
        RecordKind::Failed,
        RecordKind::Unknown,
    ];

    /// The word for it, as in the API, the CLI and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordKind::Enrolled => "enrolled",
            RecordKind::Event => "event",
            RecordKind::Facts => "facts",
            RecordKind::Ended => "ended",
            RecordKind::Refused => "refused",
            RecordKind::Moved => "moved",
            RecordKind::Held => "held",
            RecordKind::Released => "released",
            RecordKind::RunAsked => "run_asked",
            RecordKind::CancelAsked => "cancel_asked",
            RecordKind::Retried => "retried",
            RecordKind::TakenOver => "taken_over",
            RecordKind::AnswerAwaited => "answer_awaited",
            RecordKind::LateOutcome => "late_outcome",
            RecordKind::Notice => "notice",
            RecordKind::Done => "done",
            RecordKind::Skipped => "skipped",
            RecordKind::Cancelled => "cancelled",
            RecordKind::Expired => "expired",
            RecordKind::Failed => "failed",
            RecordKind::Unknown => "unknown",
        }
    }

    /// The kind of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The final state that the record tells of, if it does.
    pub fn final_state(self) -> Option<TaskState> {
        match self {
            RecordKind::Done => Some(TaskState::Done),
            RecordKind::Skipped => Some(TaskState::Skipped),
            RecordKind::Cancelled => Some(TaskState::Cancelled),
            RecordKind::Expired => Some(TaskState::Expired),
            RecordKind::Failed => Some(TaskState::Failed),
            RecordKind::Unknown => Some(TaskState::Unknown),
            _ => None,
        }
    }
}

/// The state of one task by its records alone, in the order they were written; a start shows only once its attempt ended.
pub fn fold(records: &[Record]) -> TaskState {
    let mut state = TaskState::Scheduled;
    for record in records {
        state = match record.kind {
            RecordKind::Held => TaskState::Held,
            RecordKind::Released | RecordKind::RunAsked | RecordKind::Retried | RecordKind::TakenOver => TaskState::Scheduled,
            RecordKind::CancelAsked | RecordKind::AnswerAwaited => TaskState::Running,
            kind => kind.final_state().unwrap_or(state),
        };
    }
    state
}
