//! One task and its states: what may happen to it, and what each thing makes of it.
//!
//! [`Task::apply`] is the only place where a state changes. It decides; the store repeats the decision as a conditional write on id,
//! state and fence, so that of two owners only the first is right. A final state never changes.

use jiff::Timestamp;

use crate::history::{Record, RecordKind};
use crate::name::{EntityKey, Fence, Name, TaskId, TimelineId};
use crate::reason::Reason;
use crate::sabotage::{Bug, is_planted};

/// Takeovers after node deaths until a task is held for a person, because it may be what kills its nodes (G19, F57).
pub const TAKEOVERS_MAX: u32 = 3;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaskState {
    /// Waits for its instant, or for its next attempt.
    Scheduled,
    /// An attempt was started and has not ended.
    Running,
    /// Waits for a person.
    Held,
    /// Delivered; the outcome says what the receiver answered.
    Done,
    /// The condition was false, or its time had passed by `before`.
    Skipped,
    /// Somebody or an event said that it must not happen.
    Cancelled,
    /// Too late by its rule.
    Expired,
    /// All attempts failed.
    Failed,
    /// Sent at most once, and nobody can know whether it arrived.
    Unknown,
}

impl TaskState {
    /// All states, in the order of the documentation.
    pub const ALL: [TaskState; 9] = [
        TaskState::Scheduled,
        TaskState::Running,
        TaskState::Held,
        TaskState::Done,
        TaskState::Skipped,
        TaskState::Cancelled,
        TaskState::Expired,
        TaskState::Failed,
        TaskState::Unknown,
    ];

    /// Whether nothing can happen to the task any more.
    pub fn is_final(self) -> bool {
        !matches!(self, TaskState::Scheduled | TaskState::Running | TaskState::Held)
    }

    /// The word for it, as in the API and the CLI.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskState::Scheduled => "scheduled",
            TaskState::Running => "running",
            TaskState::Held => "held",
            TaskState::Done => "done",
            TaskState::Skipped => "skipped",
            TaskState::Cancelled => "cancelled",
            TaskState::Expired => "expired",
            TaskState::Failed => "failed",
            TaskState::Unknown => "unknown",
        }
    }

    /// The state of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl std::fmt::Display for TaskState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A task that is not final yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its number in the store.
    pub id: TaskId,
    /// The timeline it belongs to; `None` for an ad-hoc task.
    pub timeline: Option<TimelineId>,
    /// Whom it is about.
    pub entity: EntityKey,
    /// The step it carries out; for an ad-hoc task its key.
    pub step: Name,
    /// Which occurrence of a recurring step, by nominal local time; empty when the step happens once.
    pub occurrence: String,
    /// When it should happen, by the plan.
    pub due_at: Timestamp,
    /// When it may start next: `due_at`, or later while it waits for another attempt. While an answer is awaited: until when.
    pub wake_at: Timestamp,
    /// Where it stands.
    pub state: TaskState,
    /// The fence of the newest start; zero before the first.
    pub fence: Fence,
    /// When the newest attempt was started.
    pub started_at: Option<Timestamp>,
    /// Attempts started so far.
    pub attempt: u32,
    /// Attempts that ended with the death of their node.
    pub takeovers: u32,
    /// Whether an attempt that was sent may have arrived although it counts as failed.
    pub possible_duplicate: bool,
    /// Whether it was cancelled while an attempt was under way: no further attempt is started.
    pub cancel_asked: bool,
    /// Whether the receiver accepted the attempt and answers later; then `wake_at` says until when.
    pub answer_awaited: bool,
    /// When it was planned.
    pub created_at: Timestamp,
    /// Why it exists and why then.
    pub reason: Reason,
    /// For an ad-hoc task what to deliver: the `do` of a step as JSON.
    pub action: Option<serde_json::Value>,
}

/// What can happen to a task.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskEvent {
    /// An attempt begins under this fence.
    Start {
        /// The new fence, higher than any before.
        fence: Fence,
    },
    /// The attempt under this fence ended.
    End {
        /// The fence of the attempt.
        fence: Fence,
        /// What it gave.
        end: AttemptEnd,
    },
    /// The node that ran the attempt is gone; another owns the shard.
    TakeOver {
        /// Whether another attempt is allowed although this one may have arrived.
        may_repeat: bool,
    },
    /// It must not happen.
    Cancel {
        /// Who or what says so.
        reason: Reason,
    },
    /// It is waiting for something that is past: the step it had to come before.
    Skip {
        /// Which step, and what became of it.
        reason: Reason,
    },
    /// Its instant changed.
    Move {
        /// The new instant.
        due_at: Timestamp,
        /// Why.
        reason: Reason,
    },
    /// A person wants to decide first.
    Hold {
        /// Who and why.
        reason: Reason,
    },
    /// A person lets it go on.
    Release {
        /// Who and why.
        reason: Reason,
    },
    /// A person wants it to happen now.
    RunNow {
        /// Who and why.
        reason: Reason,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptEnd {
    /// Delivered, with this outcome.
    Done {
        /// `done` or a word that the step `says`.
        outcome: Name,
        /// What was seen and answered.
        reason: Reason,
    },
    /// Not delivered, because it should not be.
    Skipped {
        /// The condition and the facts, or the step it had to come before.
        reason: Reason,
    },
    /// Not delivered, because it is too late by its rule.
    Expired {
        /// The rule and the lateness.
        reason: Reason,
    },
    /// Not delivered: a person must decide.
    Held {
        /// Why.
        reason: Reason,
    },
    /// Failed; another attempt comes at `wake_at`.
    Retry {
        /// When.
        wake_at: Timestamp,
        /// Whether it may have arrived.
        may_have_arrived: bool,
        /// What failed.
        reason: Reason,
    },
    /// Failed for the last time.
    Failed {
        /// What failed.
        reason: Reason,
    },
    /// Sent at most once, and nobody can know.
    Unknown {
        /// What happened.
        reason: Reason,
    },
    /// The receiver accepted it and will answer by then.
    AnswerAwaited {
        /// When waiting ends.
        until: Timestamp,
        /// What it answered.
        reason: Reason,
    },
}

/// What an event made of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The task after it.
    pub task: Task,
    /// What history keeps of it; a start is kept by the live row until the attempt ends.
    pub record: Option<Record>,
}

/// Why an event changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The task is final: nothing changes it.
    #[error("the task is already {0}")]
    Already(TaskState),
    /// The event came from an owner that has been outdated.
    #[error("the attempt under {given} is outdated by {current}")]
    Stale {
        /// The fence that the event carries.
        given: Fence,
        /// The fence of the task.
        current: Fence,
    },
    /// The event does not fit the state.
    #[error("a task that is {state} cannot be {wanted}")]
    NotNow {
        /// Where the task stands.
        state: TaskState,
        /// What was wanted of it.
        wanted: &'static str,
    },
    /// What is to be run again is ahead already.
    #[error("it is ahead already, as {0}")]
    Ahead(TaskId),
}

impl Task {
    /// What `event` at `now` makes of the task.
    /// # Errors
    /// [`Refused`]: the event does not fit; nothing changes.
    pub fn apply(&self, event: TaskEvent, now: Timestamp) -> Result<Transition, Refused> {
        if self.state.is_final() {
            return Err(Refused::Already(self.state));
        }
        match event {
            TaskEvent::Start { fence } => self.start(fence, now),
            TaskEvent::End { fence, end } => self.end(fence, end, now),
            TaskEvent::TakeOver { may_repeat } => self.take_over(may_repeat, now),
            TaskEvent::Cancel { reason } => Ok(self.cancel(reason, now)),
            TaskEvent::Skip { reason } => match self.state {
                TaskState::Scheduled | TaskState::Held => Ok(self.to(TaskState::Skipped, RecordKind::Skipped, reason, now)),
                state => Err(Refused::NotNow { state, wanted: "skipped" }),
            },
            TaskEvent::Move { due_at, reason } => self.shift(due_at, reason, now),
            TaskEvent::Hold { reason } => match self.state {
                TaskState::Scheduled => Ok(self.to(TaskState::Held, RecordKind::Held, reason, now)),
                state => Err(Refused::NotNow { state, wanted: "held" }),
            },
            TaskEvent::Release { reason } => match self.state {
                TaskState::Held => {
                    let mut released = self.to(TaskState::Scheduled, RecordKind::Released, reason, now);
                    released.task.takeovers = 0;
                    Ok(released)
                }
                state => Err(Refused::NotNow { state, wanted: "released" }),
            },
            TaskEvent::RunNow { reason } => match self.state {
                TaskState::Scheduled | TaskState::Held => {
                    let mut run = self.to(TaskState::Scheduled, RecordKind::RunAsked, reason, now);
                    run.task.wake_at = now;
                    run.task.takeovers = 0;
                    Ok(run)
                }
                state => Err(Refused::NotNow { state, wanted: "run now" }),
            },
        }
    }

    fn start(&self, fence: Fence, now: Timestamp) -> Result<Transition, Refused> {
        if self.state != TaskState::Scheduled {
            return Err(Refused::NotNow { state: self.state, wanted: "started" });
        }
        if fence <= self.fence {
            return Err(Refused::Stale { given: fence, current: self.fence });
        }
        let mut task = self.clone();
        task.state = TaskState::Running;
        task.fence = fence;
        task.started_at = Some(now);
        task.attempt = self.attempt.saturating_add(1);
        Ok(Transition { task, record: None })
    }

    fn end(&self, fence: Fence, end: AttemptEnd, now: Timestamp) -> Result<Transition, Refused> {
        if fence != self.fence && !is_planted(Bug::F2) {
            return Err(Refused::Stale { given: fence, current: self.fence });
        }
        if self.state != TaskState::Running {
            return Err(Refused::NotNow { state: self.state, wanted: "ended" });
        }
        let mut ended = match end {
            AttemptEnd::Done { outcome, reason } => {
                let mut done = self.to(TaskState::Done, RecordKind::Done, reason, now);
                done.set_outcome(outcome.as_str());
                done
            }
            AttemptEnd::Skipped { reason } => self.to(TaskState::Skipped, RecordKind::Skipped, reason, now),
            AttemptEnd::Expired { reason } => self.to(TaskState::Expired, RecordKind::Expired, reason, now),
            AttemptEnd::Unknown { reason } => self.to(TaskState::Unknown, RecordKind::Unknown, reason, now),
            AttemptEnd::Held { reason } | AttemptEnd::Failed { reason } | AttemptEnd::Retry { reason, .. }
                if self.cancel_asked && !is_planted(Bug::F54) =>
            {
                self.to(TaskState::Cancelled, RecordKind::Cancelled, reason, now)
            }
            AttemptEnd::Held { reason } => self.to(TaskState::Held, RecordKind::Held, reason, now),
            AttemptEnd::Failed { reason } => self.to(TaskState::Failed, RecordKind::Failed, reason, now),
            AttemptEnd::Retry { wake_at, may_have_arrived, reason } => {
                let mut retry = self.to(TaskState::Scheduled, RecordKind::Retried, reason, now);
                retry.task.wake_at = wake_at.max(now);
                retry.task.possible_duplicate |= may_have_arrived;
                retry
            }
            AttemptEnd::AnswerAwaited { until, reason } => {
                let mut awaited = self.to(TaskState::Running, RecordKind::AnswerAwaited, reason, now);
                awaited.task.wake_at = until.max(now);
                awaited.task.answer_awaited = true;
                awaited
            }
        };
        ended.task.answer_awaited = ended.task.state == TaskState::Running;
        Ok(ended)
    }

    fn take_over(&self, may_repeat: bool, now: Timestamp) -> Result<Transition, Refused> {
        if self.state != TaskState::Running || self.answer_awaited {
            return Err(Refused::NotNow { state: self.state, wanted: "taken over" });
        }
        let reason = Reason::NodeLost { fence: self.fence.0 };
        let takeovers = self.takeovers.saturating_add(1);
        if self.cancel_asked {
            return Ok(self.to(TaskState::Cancelled, RecordKind::Cancelled, reason, now));
        }
        if !may_repeat {
            return Ok(self.to(TaskState::Unknown, RecordKind::Unknown, reason, now));
        }
        let (state, kind) = if takeovers >= TAKEOVERS_MAX && !is_planted(Bug::F57) {
            (TaskState::Held, RecordKind::Held)
        } else {
            (TaskState::Scheduled, RecordKind::TakenOver)
        };
        let mut taken = self.to(state, kind, reason, now);
        taken.task.takeovers = takeovers;
        taken.task.possible_duplicate = true;
        // It keeps the instant it woke at, so that a later task of the entity does not overtake it.
        Ok(taken)
    }

    fn cancel(&self, reason: Reason, now: Timestamp) -> Transition {
        if self.state == TaskState::Running {
            let mut asked = self.to(TaskState::Running, RecordKind::CancelAsked, reason, now);
            asked.task.cancel_asked = true;
            return asked;
        }
        self.to(TaskState::Cancelled, RecordKind::Cancelled, reason, now)
    }

    fn shift(&self, due_at: Timestamp, reason: Reason, now: Timestamp) -> Result<Transition, Refused> {
        if self.state == TaskState::Running {
            return Err(Refused::NotNow { state: self.state, wanted: "moved" });
        }
        let mut moved = self.to(self.state, RecordKind::Moved, reason.clone(), now);
        moved.task.reason = reason;
        moved.task.due_at = due_at;
        moved.task.wake_at = due_at;
        if let Some(record) = &mut moved.record {
            record.due_at = Some(due_at);
        }
        Ok(moved)
    }

    /// The task in `state`, with a history record that keeps the attempt under way.
    fn to(&self, state: TaskState, kind: RecordKind, reason: Reason, now: Timestamp) -> Transition {
        let mut task = self.clone();
        task.state = state;
        let record = Record {
            at: now,
            kind,
            entity: self.entity.clone(),
            timeline: self.timeline,
            task: Some(self.id),
            step: Some(self.step.clone()),
            occurrence: self.occurrence.clone(),
            due_at: Some(self.due_at),
            started_at: self.started_at,
            fence: self.fence,
            attempt: self.attempt,
            outcome: state.is_final().then(|| state.as_str().to_owned()),
            reason,
        };
        Transition { task, record: Some(record) }
    }
}

impl Transition {
    fn set_outcome(&mut self, word: &str) {
        if let Some(record) = &mut self.record {
            record.outcome = Some(word.to_owned());
        }
    }
}
