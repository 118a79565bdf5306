//! Why a task that is due has not happened yet: everything that holds it back, as data, and each in one sentence.
//!
//! [`delays`] is pure: what is stored and who lives are arguments. Leaves to others: gathering them (`hence::Client::delays`), and why
//! the task exists at all (`Reason`). The order is that of what must end first.

use jiff::{SignedDuration, Timestamp};

use super::Reason;
use super::sentence::instant;
use crate::answer::Problem;
use crate::calendar::Zone;
use crate::history::RecordKind;
use crate::name::TaskId;
use crate::task::{Task, TaskState};
use crate::timeline::EntitySnapshot;

/// What has been due for longer than this is backlog, which engines start at a limited speed.
pub const BACKLOG_AGE: SignedDuration = SignedDuration::from_secs(60);

/// One thing that holds a task back.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Delay {
    /// A person must let it go on.
    Held {
        /// Since when.
        since: Timestamp,
        /// Why it was held.
        because: Option<Box<Reason>>,
    },
    /// An attempt is under way.
    UnderWay {
        /// Its number.
        attempt: u32,
        /// When it was started.
        started_at: Timestamp,
    },
    /// The receiver took it and answers later.
    AnswerAwaited {
        /// Until when.
        until: Timestamp,
    },
    /// An attempt failed, and the next one comes later.
    Retry {
        /// When.
        wake_at: Timestamp,
        /// How many attempts there were.
        attempts: u32,
        /// How the last one failed.
        because: Option<Box<Reason>>,
    },
    /// Wishes about the entity must be carried out first.
    Wishes {
        /// How many.
        count: u64,
        /// Why they were not, if they were tried.
        waiting: Option<Waiting>,
    },
    /// Another task of the entity comes first.
    Behind {
        /// Which.
        task: i64,
        /// Its step, or its key.
        step: String,
        /// When it was due.
        due_at: Timestamp,
        /// Whether it is running; else it waits, and is due earlier.
        is_running: bool,
    },
    /// No engine lives that could start it.
    NoEngine {
        /// When one was seen last.
        last_seen: Option<Timestamp>,
    },
    /// It is backlog, which is started at a limited speed beside what falls due now.
    CatchUp {
        /// About how many tasks were due before it.
        due_before: u64,
    },
}

/// That wishes were tried and could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Since when.
    pub since: Timestamp,
    /// When they are tried again.
    pub try_at: Timestamp,
    /// Why.
    pub problem: Problem,
}

/// Whether an engine lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineSeen {
    /// One does.
    Alive,
    /// None does.
    Gone {
        /// When one was seen last.
        last_seen: Option<Timestamp>,
    },
    /// The store cannot tell.
    Unknown,
}

/// What a task may be held back by.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// What is stored of its entity.
    pub snapshot: &'a EntitySnapshot,
    /// How many wishes about the entity are in the inbox.
    pub wishes: u64,
    /// That they were tried.
    pub waiting: Option<&'a Waiting>,
    /// Whether an engine lives.
    pub engine: EngineSeen,
    /// About how many tasks that are not final were due before it.
    pub due_before: u64,
    /// The clock.
    pub now: Timestamp,
}

/// Everything that holds this task back, what must end first coming first; nothing for one that is not due, or that starts at once.
pub fn delays(task: &Task, around: Around<'_>) -> Vec<Delay> {
    if task.state.is_final() || (task.due_at > around.now && task.state == TaskState::Scheduled) {
        return Vec::new();
    }
    let mut found = Vec::new();
    match task.state {
        TaskState::Held => found.push(held(task, around.snapshot)),
        TaskState::Running if task.answer_awaited => found.push(Delay::AnswerAwaited { until: task.wake_at }),
        TaskState::Running => {
            let started_at = task.started_at.unwrap_or(task.due_at);
            found.push(Delay::UnderWay { attempt: task.attempt, started_at });
        }
        _ => scheduled(task, around, &mut found),
    }
    if let EngineSeen::Gone { last_seen } = around.engine
        && task.state != TaskState::Held
    {
        found.push(Delay::NoEngine { last_seen });
    }
    found
}

fn held(task: &Task, snapshot: &EntitySnapshot) -> Delay {
    let record = snapshot.records.iter().rfind(|record| record.task == Some(task.id) && record.kind == RecordKind::Held);
    Delay::Held {
        since: record.map_or(task.due_at, |record| record.at),
        because: record.map(|record| Box::new(record.reason.clone())),
    }
}

fn scheduled(task: &Task, around: Around<'_>, found: &mut Vec<Delay>) {
    let Around { snapshot, now, .. } = around;
    if task.wake_at > now && task.attempt > 0 {
        let failed = |kind| matches!(kind, RecordKind::Retried | RecordKind::TakenOver);
        let record = snapshot.records.iter().rfind(|record| record.task == Some(task.id) && failed(record.kind));
        let because = record.map(|record| Box::new(record.reason.clone()));
        found.push(Delay::Retry { wake_at: task.wake_at, attempts: task.attempt, because });
    }
    if around.wishes > 0 {
        found.push(Delay::Wishes { count: around.wishes, waiting: around.waiting.cloned() });
    }
    let is_first = |other: &&Task| other.state == TaskState::Running || is_earlier(other, task);
    let first = snapshot.live.iter().filter(|other| other.id != task.id).filter(is_first);
    // The one that runs, else the one that starts next.
    if let Some(first) = first.min_by_key(|other| (other.state != TaskState::Running, other.wake_at, other.id)) {
        found.push(Delay::Behind {
            task: first.id.0,
            step: first.step.to_string(),
            due_at: first.due_at,
            is_running: first.state == TaskState::Running,
        });
    }
    let is_backlog = task.wake_at < now.saturating_sub(BACKLOG_AGE).unwrap_or(Timestamp::MIN);
    if found.is_empty() && is_backlog && around.engine == EngineSeen::Alive {
        found.push(Delay::CatchUp { due_before: around.due_before });
    }
}

/// Whether the other task of the entity starts before this one.
fn is_earlier(other: &Task, task: &Task) -> bool {
    other.state == TaskState::Scheduled && (other.wake_at, other.id) < (task.wake_at, task.id)
}

impl Delay {
    /// What holds it back in one plain sentence without a full stop; instants as clocks in `zone` show them.
    pub fn sentence(&self, zone: &Zone) -> String {
        let at = |at: &Timestamp| instant(*at, zone);
        let why = |because: &Option<Box<Reason>>| match because {
            Some(reason) => format!(": {}", reason.sentence(zone)),
            None => String::new(),
        };
        match self {
            Self::Held { since, because } => format!("a person must let it go on since {}{}", at(since), why(because)),
            Self::UnderWay { attempt, started_at } => format!("attempt {attempt} is under way since {}", at(started_at)),
            Self::AnswerAwaited { until } => format!("the receiver took it and has time to answer until {}", at(until)),
            Self::Retry { wake_at, attempts, because } => {
                let times = if *attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
                format!("it was tried {times} and is tried again {}{}", at(wake_at), why(because))
            }
            Self::Wishes { count, waiting } => {
                let told =
                    if *count == 1 { "something that was told".to_owned() } else { format!("{count} things that were told") };
                match waiting {
                    None => format!("{told} of its entity must be carried out first"),
                    Some(Waiting { since, try_at, problem }) => format!(
                        "{told} of its entity cannot be carried out since {}: {} ({}); tried again {}",
                        at(since),
                        problem.message,
                        problem.code,
                        at(try_at)
                    ),
                }
            }
            Self::Behind { task, step, due_at, is_running } => {
                let stands = if *is_running { "is running" } else { "comes first" };
                format!("{step} ({}) of the same entity {stands}; its instant is {}", TaskId(*task), at(due_at))
            }
            Self::NoEngine { last_seen: None } => "no engine is running".to_owned(),
            Self::NoEngine { last_seen: Some(seen) } => format!("no engine is running; one was seen last {}", at(seen)),
            Self::CatchUp { due_before } => format!(
                "it has been due for over a minute, with about {due_before} tasks before it; engines start these at a limited speed"
            ),
        }
    }
}
