//! In-process handlers: a task is carried out by a Rust function.
//!
//! Owns: the registry of functions ([`Handlers`]), giving them their input as a type of their own, and what their
//! end means. Leaves to others: transactions and what the function does.
//!
//! Invariants: a handler runs on a task of its own, joined here, so that its panic ends nothing else; when its time is
//! over it is dropped at its next `.await`. Of a handler that was cut off nobody knows what it did: that is unknown,
//! while an error it returns is its word that nothing happened.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::task::{JoinError, JoinSet};

use crate::port::{Attempt, Destination, Dispatcher, Problem, Reply};

/// What a handler knows of the attempt it carries out, beside its input.
#[derive(Clone, Debug)]
pub struct HandlerContext {
    /// The attempt; `cancel` in it tells when somebody asked to cancel.
    pub attempt: Attempt,
}

/// What a handler says when it is through.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HandlerReply {
    /// The word that decides the follow-up steps; `None` stands for plain `done`.
    pub outcome: Option<String>,
    /// Anything worth keeping with the task.
    pub result: Value,
}

impl HandlerReply {
    /// Done, without a word.
    pub fn done() -> HandlerReply {
        HandlerReply::default()
    }

    /// Done, with a word that decides the follow-up steps.
    pub fn outcome(word: impl Into<String>) -> HandlerReply {
        HandlerReply { outcome: Some(word.into()), result: Value::Null }
    }

    /// Adds something worth keeping with the task.
    #[must_use]
    pub fn with_result(mut self, result: Value) -> HandlerReply {
        self.result = result;
        self
    }
}

/// Why a handler did not carry its task out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HandlerError {
    /// Nothing happened; another try may help.
    #[error("{message}")]
    Again {
        /// When to try again; `None`: when the step's retry rule says.
        after: Option<Duration>,
        /// Why, for people.
        message: String,
    },
    /// No further try helps.
    #[error("{0}")]
    Refused(String),
    /// It may or may not have happened.
    #[error("{0}")]
    Unknown(String),
}

impl HandlerError {
    /// Nothing happened; to be tried again by the step's retry rule.
    pub fn again(why: impl fmt::Display) -> HandlerError {
        HandlerError::Again { after: None, message: why.to_string() }
    }
}

/// What every handler becomes, whatever its input type.
type Run = Arc<dyn Fn(HandlerContext) -> Running + Send + Sync>;
type Running = Pin<Box<dyn Future<Output = Result<HandlerReply, HandlerError>> + Send>>;

/// The dispatcher of in-process handlers.
#[derive(Clone, Default)]
pub struct Handlers {
    by_name: BTreeMap<String, Run>,
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl Handlers {
    /// No handlers yet.
    pub fn new() -> Handlers {
        Handlers::default()
    }

    /// Registers a function under a name; it takes the place of an earlier one of that name. Its input is read from the
    /// payload; a payload that does not fit is refused without calling it.
    #[must_use]
    pub fn on<T, F, R>(mut self, name: impl Into<String>, handler: F) -> Handlers
    where
        T: DeserializeOwned + Send + 'static,
        F: Fn(HandlerContext, T) -> R + Send + Sync + 'static,
        R: Future<Output = Result<HandlerReply, HandlerError>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let run = move |context: HandlerContext| -> Running {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                // The text of the error could repeat a value of the payload, so it is not told.
                let input = T::deserialize(&context.attempt.payload).map_err(|_| {
                    HandlerError::Refused(format!(
                        "the payload does not fit the handler's input `{}`",
                        std::any::type_name::<T>()
                    ))
                })?;
                handler(context, input).await
            })
        };
        self.by_name.insert(name.into(), Arc::new(run));
        self
    }

    fn find(&self, to: &Destination) -> Result<&Run, Problem> {
        let Destination::Handler { name } = to else {
            return Err(Problem::new("wrong-destination", "this dispatcher carries handlers only"));
        };
        self.by_name.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
            Problem::new("no-handler", format!("handler `{name}` is not registered; known are: {}", known.join(", ")))
        })
    }
}

#[async_trait]
impl Dispatcher for Handlers {
    fn carries(&self) -> &str {
        "handler"
    }

    fn accepts(&self, to: &Destination) -> Result<(), Problem> {
        self.find(to).map(|_| ())
    }

    async fn deliver(&self, attempt: &Attempt) -> Reply {
        let run = match self.find(&attempt.to) {
            Ok(run) => Arc::clone(run),
            Err(problem) => return Reply::Refused { problem },
        };
        let context = HandlerContext { attempt: attempt.clone() };
        // Dropping the set at the end of this function aborts what still runs. The call itself stands inside the
        // task too, so that a panic before the first `.await` is caught as well.
        let mut owned = JoinSet::new();
        owned.spawn(async move { run(context).await });
        match tokio::time::timeout(attempt.timeout, owned.join_next()).await {
            Ok(Some(Ok(ended))) => meaning(ended),
            Ok(Some(Err(error))) => broken(error),
            // The set has one member, so it is not empty; were it, nothing ran.
            Ok(None) => Reply::again(Problem::new("not-run", "the handler was not run")),
            Err(_) => Reply::Unknown {
                problem: Problem::new("timed-out", format!("the handler did not end within {:?}", attempt.timeout)),
            },
        }
    }
}

fn meaning(ended: Result<HandlerReply, HandlerError>) -> Reply {
    match ended {
        Ok(reply) => Reply::Done { outcome: reply.outcome, result: reply.result },
        Err(HandlerError::Again { after, message }) => Reply::Again { after, problem: Problem::new("handler-failed", message) },
        Err(HandlerError::Refused(message)) => Reply::Refused { problem: Problem::new("refused", message) },
        Err(HandlerError::Unknown(message)) => Reply::Unknown { problem: Problem::new("handler-unsure", message) },
    }
}

fn broken(error: JoinError) -> Reply {
    match error.try_into_panic() {
        // It may have done everything but its last line.
        Ok(panic) => {
            Reply::Unknown { problem: Problem::new("panicked", format!("the handler panicked: {}", text_of(panic.as_ref()))) }
        }
        Err(_) => Reply::Unknown { problem: Problem::new("stopped", "the process is stopping; the handler was cut off") },
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "no message",
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what only handlers have: typed input, and a panic that stays inside. Method: real handlers.
    use serde_json::json;

    use super::*;
    use crate::conformance_attempt::sample;

    async fn check<F>(handler: F, expected: &str)
    where
        F: Fn(HandlerContext) -> Result<HandlerReply, HandlerError> + Send + Sync + 'static,
    {
        let handlers = Handlers::new().on("expire", move |context: HandlerContext, _: Value| {
            let ended = handler(context);
            async move { ended }
        });
        let reply = handlers.deliver(&sample()).await;
        assert!(!expected.contains("panicked") || matches!(reply, Reply::Unknown { .. }), "{reply:?}");
        let text = reply.problem().map_or("done", |problem| problem.message());
        assert_eq!(text, expected, "{reply:?}");
    }

    #[tokio::test]
    async fn input_has_the_handlers_own_type() {
        #[derive(serde::Deserialize)]
        struct Account {
            email: String,
        }
        #[derive(serde::Deserialize)]
        struct Input {
            account: Account,
        }
        let handlers = Handlers::new().on("expire", |context: HandlerContext, input: Input| async move {
            Ok(HandlerReply::outcome("told").with_result(json!([context.attempt.fence, input.account.email])))
        });
        let mut attempt = sample();
        assert_eq!(
            handlers.deliver(&attempt).await,
            Reply::Done { outcome: Some("told".into()), result: json!([7, "a@example.com"]) }
        );
        attempt.payload = json!({"account": "secret-value"});
        let reply = handlers.deliver(&attempt).await;
        assert!(matches!(&reply, Reply::Refused { problem } if !problem.message().contains("secret-value")), "{reply:?}");
    }

    #[tokio::test]
    async fn panics_stay_inside() {
        check(|_| panic!("boom {}", 1), "the handler panicked: boom 1").await;
        check(|_| panic!("boom"), "the handler panicked: boom").await;
        check(|_| std::panic::panic_any(7), "the handler panicked: no message").await;
        check(|_| Err(HandlerError::again("later\nplease")), "later please").await;
        check(|_| Ok(HandlerReply::done()), "done").await;
    }

    #[tokio::test]
    async fn cancel_reaches_a_running_handler() {
        let handlers = Handlers::new().on("expire", |context: HandlerContext, _: Value| async move {
            context.attempt.cancel.raised().await;
            Ok(HandlerReply::outcome("stopped"))
        });
        let attempt = sample();
        let (reply, ()) = tokio::join!(handlers.deliver(&attempt), async { attempt.cancel.raise() });
        assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
    }

    #[tokio::test]
    async fn unregistered_name_is_known_before_the_start() {
        let problem = Handlers::new().accepts(&sample().to).unwrap_err();
        assert_eq!(problem.code(), "no-handler");
    }
}
