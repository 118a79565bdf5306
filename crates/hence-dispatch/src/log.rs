//! The log as a destination: for trying a definition out, and for steps that only have to be seen.
//!
//! Owns: writing one `tracing` event for an attempt. Invariant: it never fails; the payload is not logged, only the
//! message the step's author wrote, on one line.

use async_trait::async_trait;

use crate::port::{Attempt, Destination, Dispatcher, LogLevel, Problem, Reply};

/// The dispatcher that writes to the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

#[async_trait]
impl Dispatcher for Log {
    fn carries(&self) -> &str {
        "log"
    }

    fn accepts(&self, to: &Destination) -> Result<(), Problem> {
        match to {
            Destination::Log { .. } => Ok(()),
            _ => Err(Problem::new("wrong-destination", "this dispatcher carries log lines only")),
        }
    }

    async fn deliver(&self, attempt: &Attempt) -> Reply {
        let Destination::Log { message, level } = &attempt.to else {
            return match self.accepts(&attempt.to) {
                Ok(()) => Reply::done(),
                Err(problem) => Reply::Refused { problem },
            };
        };
        // A problem's message is one clean line of bounded length, which is what a log wants too.
        let line = Problem::new("log", message);
        let (line, task) = (line.message(), attempt.task.as_str());
        match level {
            LogLevel::Info => tracing::info!(task, step = attempt.step, "{line}"),
            LogLevel::Warn => tracing::warn!(task, step = attempt.step, "{line}"),
            LogLevel::Error => tracing::error!(task, step = attempt.step, "{line}"),
        }
        Reply::done()
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a log line is always done; anything else is refused. Method: both, without a subscriber.
    use super::*;
    use crate::conformance_attempt::sample;

    #[tokio::test]
    async fn log_lines_are_always_done() {
        let mut attempt = sample();
        assert!(matches!(Log.deliver(&attempt).await, Reply::Refused { .. }));
        for level in [LogLevel::Info, LogLevel::Warn, LogLevel::Error] {
            attempt.to = Destination::Log { message: "hello\nworld".into(), level };
            assert_eq!(Log.deliver(&attempt).await, Reply::done());
        }
    }
}
