//! The port every transport implements, and the values that cross it.
//!
//! Owns: what an attempt is ([`Attempt`], [`Destination`]), what a delivery can end with ([`Reply`]), the sanitised
//! reason of a failure ([`Problem`]) and the trait ([`Dispatcher`]). Leaves to others: rendering a destination,
//! deciding whether and when to try again, writing anything down (the engine).
//!
//! Invariants: [`Dispatcher::deliver`] never fails, never panics, and ends within [`Attempt::timeout`] plus
//! [`DEADLINE_SLACK`]. A [`Reply::Again`] is said only where nothing happened at the receiver or the receiver itself
//! said so; whenever that cannot be known the answer is [`Reply::Unknown`]. A [`Problem`] carries no secrets, no
//! payload and no control characters, so that writing it down cannot fail.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

/// How much longer than [`Attempt::timeout`] a delivery may take to hand back its reply.
pub const DEADLINE_SLACK: Duration = Duration::from_millis(500);

/// One delivery of one task: everything a transport needs, built by the engine.
#[derive(Clone)]
pub struct Attempt {
    /// Id of the task, the same over all attempts; the receiver recognises a repeat by it (`webhook-id`, `Message-ID`).
    pub task: String,
    /// Type of the entity, such as `account`.
    pub entity_type: String,
    /// Id of the entity within its type.
    pub entity_id: String,
    /// Name of the definition; empty for an ad-hoc task.
    pub timeline: String,
    /// Name of the step; for an ad-hoc task its key.
    pub step: String,
    /// Nominal local time of the occurrence of a recurring step.
    pub occurrence: Option<String>,
    /// When the task was due, by the engine's clock.
    pub due_at: Timestamp,
    /// When this attempt was started, by the engine's clock, which may be virtual.
    pub started_at: Timestamp,
    /// When this attempt is sent, by the wall clock: receivers compare a signature's time with their own clock.
    pub sent_at: Timestamp,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// Fence of this start; a later completion through the API has to say it.
    pub fence: i64,
    /// Whether an earlier attempt may already have arrived.
    pub possible_duplicate: bool,
    /// What is sent: the facts seen and the data of the task, as a JSON object.
    pub payload: Value,
    /// Where it goes, already rendered.
    pub to: Destination,
    /// How long the delivery may take.
    pub timeout: Duration,
    /// Raised when somebody asks to cancel while the attempt runs.
    pub cancel: CancelSignal,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("task", &self.task)
            .field("step", &format_args!("{}/{}", self.timeline, self.step))
            .field("attempt", &self.attempt)
            .field("fence", &self.fence)
            .field("to", &self.to.kind())
            .field("payload", &"[not shown]")
            .finish_non_exhaustive()
    }
}

/// What a step's `do` says, with all its placeholders filled in.
#[derive(Clone, Debug, PartialEq)]
pub enum Destination {
    /// A signed HTTP request to a configured target.
    Webhook {
        /// Name of the target in the configuration.
        target: String,
        /// Path below the target's address, starting with `/`.
        path: String,
        /// `POST` unless said otherwise; `PUT` and `PATCH` are the others allowed.
        method: Option<String>,
    },
    /// A mail made from a template.
    Email {
        /// Name of the template, without the file name's end.
        template: String,
        /// One or more addresses, separated by commas.
        to: String,
        /// Takes the place of the template's subject.
        subject: Option<String>,
    },
    /// A line in the log.
    Log {
        /// The text.
        message: String,
        /// How loud it is.
        level: LogLevel,
    },
    /// A Rust function of this process.
    Handler {
        /// The name it was registered under.
        name: String,
    },
    /// A message to a broker.
    Broker {
        /// Kind of broker, such as `rabbitmq`; it selects the dispatcher.
        kind: String,
        /// Name of the target in the configuration.
        target: String,
        /// Routing key, subject or queue.
        key: String,
    },
}

impl Destination {
    /// The word by which the dispatcher is found: `webhook`, `email`, `log`, `handler`, or the broker's kind.
    pub fn kind(&self) -> &str {
        match self {
            Destination::Webhook { .. } => "webhook",
            Destination::Email { .. } => "email",
            Destination::Log { .. } => "log",
            Destination::Handler { .. } => "handler",
            Destination::Broker { kind, .. } => kind,
        }
    }
}

/// How loud a line in the log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Seen by default.
    #[default]
    Info,
    /// Somebody should look.
    Warn,
    /// Something is broken.
    Error,
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// It arrived and was carried out.
    Done {
        /// The word the receiver said; `None` stands for plain `done`.
        outcome: Option<String>,
        /// What the receiver gave back; `null` when nothing.
        result: Value,
    },
    /// Definitely not carried out: trying again is safe and may help.
    Again {
        /// How long the receiver asked to be left alone.
        after: Option<Duration>,
        /// Why.
        problem: Problem,
    },
    /// Sent, and nobody can know whether it arrived.
    Unknown {
        /// What was seen.
        problem: Problem,
    },
    /// The receiver took it and completes it later, through the API or the command line, saying the fence.
    Later {
        /// Within which time the receiver promised to complete it.
        within: Option<Duration>,
    },
    /// Refused for good: no further try helps.
    Refused {
        /// Why.
        problem: Problem,
    },
    /// The receiver says this target is gone and wants nothing more.
    Gone {
        /// What it said.
        problem: Problem,
    },
}

impl Reply {
    /// Carried out, without a word and without a result.
    pub fn done() -> Reply {
        Reply::Done { outcome: None, result: Value::Null }
    }

    /// Definitely not carried out, to be tried again when the engine likes.
    pub fn again(problem: Problem) -> Reply {
        Reply::Again { after: None, problem }
    }

    /// The problem, where there is one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Reply::Done { .. } | Reply::Later { .. } => None,
            Reply::Again { problem, .. } | Reply::Unknown { problem } | Reply::Refused { problem } | Reply::Gone { problem } => {
                Some(problem)
            }
        }
    }
}

/// Why something did not go well, in a form that can always be stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    code: &'static str,
    message: String,
}

impl Problem {
    /// Longest message, in bytes of UTF-8.
    pub const MESSAGE_BYTES_MAX: usize = 1024;

    /// Makes a problem; the message is sanitised (one line, no control or direction characters) and cut to
    /// [`Problem::MESSAGE_BYTES_MAX`].
    pub fn new(code: &'static str, message: impl AsRef<str>) -> Problem {
        Problem { code, message: sanitised(message.as_ref()) }
    }

    /// The stable word to branch on, such as `timed-out`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Whether nothing was sent and nothing will be before a person mends the configuration or a template: the task waits for that.
    pub fn is_for_a_person(&self) -> bool {
        matches!(self.code, "no-template" | "no-subject" | "template-failed")
    }

    /// A sentence without a full stop, for people.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// One line of printable text, at most [`Problem::MESSAGE_BYTES_MAX`] bytes.
fn sanitised(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(Problem::MESSAGE_BYTES_MAX));
    for c in text.chars() {
        let c = match c {
            c if c.is_control() => ' ',
            // Line and paragraph separators, direction overrides, byte order mark: they would forge what a person reads.
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => ' ',
            c => c,
        };
        if c == ' ' && clean.ends_with(' ') {
            continue;
        }
        if clean.len() + c.len_utf8() > Problem::MESSAGE_BYTES_MAX - '…'.len_utf8() {
            clean.push('…');
            break;
        }
        clean.push(c);
    }
    clean.trim().to_owned()
}

/// Tells a running attempt that somebody asked to cancel it; cloning gives another view of the same signal.
#[derive(Clone, Debug)]
pub struct CancelSignal(Arc<watch::Sender<bool>>);

impl Default for CancelSignal {
    fn default() -> Self {
        CancelSignal(Arc::new(watch::Sender::new(false)))
    }
}

impl CancelSignal {
    /// Raises the signal; raising it again changes nothing.
    pub fn raise(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is raised; for ever, if it never is.
    pub async fn raised(&self) {
        let mut seen = self.0.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = seen.wait_for(|raised| *raised).await;
    }
}

/// Carries attempts out over one kind of transport.
#[async_trait]
pub trait Dispatcher: Send + Sync {
    /// The [`Destination::kind`] it carries.
    fn carries(&self) -> &str;

    /// Checks, without any I/O, that a destination could be reached at all: the target, template or handler is known.
    ///
    /// # Errors
    /// What is not known or not allowed; an attempt with this destination would be refused for the same reason.
    fn accepts(&self, to: &Destination) -> Result<(), Problem>;

    /// Delivers once. Calling it again with the same [`Attempt::task`] delivers again, under the same id.
    async fn deliver(&self, attempt: &Attempt) -> Reply;
}

#[cfg(test)]
mod tests {
    //! Goal: a problem can always be stored and shown. Method: hostile texts in, one short clean line out.
    use super::*;

    #[test]
    fn problem_messages_are_one_clean_line() {
        let problem = Problem::new("x", "a\0b\r\nBcc: c\u{1b}[31m\u{202e}d");
        assert_eq!(problem.message(), "a b Bcc: c [31m d");
    }

    #[test]
    fn problem_messages_are_cut_at_a_character() {
        for c in ['a', 'ß', '…', '🙂'] {
            let message = Problem::new("x", c.to_string().repeat(5000)).message;
            assert!(message.len() <= Problem::MESSAGE_BYTES_MAX, "{c}");
            assert!(message.len() > Problem::MESSAGE_BYTES_MAX - 8, "{c}");
            assert!(message.ends_with('…'));
        }
    }

    #[test]
    fn debug_of_an_attempt_shows_no_payload() {
        let attempt = crate::conformance_attempt::sample();
        assert!(!format!("{attempt:?}").contains("example.com"));
    }
}
