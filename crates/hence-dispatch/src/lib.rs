//! Carries attempts out: the port [`Dispatcher`] and the transports behind it.
//!
//! Owns: how a task reaches a Rust handler, a webhook, a mail server or the log, what each answer means
//! ([`Reply`]), and the outbound guard. Leaves to others: when an attempt is started and what follows from its
//! reply (the engine); storing anything (no dispatcher knows a store). Every dispatcher passes one conformance suite.

mod port;
mod registry;
mod secret;

#[cfg(any(test, feature = "conformance"))]
mod conformance_attempt;

pub use port::{Attempt, CancelSignal, DEADLINE_SLACK, Destination, Dispatcher, LogLevel, Problem, Reply};
pub use registry::Dispatchers;
pub use secret::Secret;
