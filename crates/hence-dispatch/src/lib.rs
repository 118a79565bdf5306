//! Carries attempts out: the port [`Dispatcher`] and the transports behind it.
//!
//! Owns: how a task reaches a Rust handler, a webhook, a mail server or the log, what each answer means
//! ([`Reply`]), and the outbound guard. Leaves to others: when an attempt is started and what follows from its
//! reply (the engine); storing anything (no dispatcher knows a store). Every dispatcher passes one conformance suite.

mod port;
mod registry;
mod secret;

mod handler;
mod log;

#[cfg(feature = "webhook")]
mod guard;

#[cfg(feature = "email")]
mod email;

#[cfg(feature = "webhook")]
mod http;
#[cfg(feature = "webhook")]
mod http_facts;
#[cfg(any(feature = "webhook", feature = "email"))]
mod tls;
#[cfg(feature = "webhook")]
mod webhook;

#[cfg(feature = "catcher")]
mod catcher;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(any(test, feature = "conformance"))]
mod conformance_attempt;

#[cfg(feature = "catcher")]
pub use catcher::{CaughtMail, MailCatcher};
#[cfg(feature = "email")]
pub use email::{MailServer, MailTemplates, Mails};
#[cfg(feature = "webhook")]
pub use guard::path_segment;
pub use handler::{HandlerContext, HandlerError, HandlerReply, Handlers};
#[cfg(feature = "webhook")]
pub use http_facts::{FactsRequest, HttpFacts};
pub use log::Log;
pub use port::{Attempt, CancelSignal, DEADLINE_SLACK, Destination, Dispatcher, LogLevel, Problem, Reply};
pub use registry::Dispatchers;
pub use secret::Secret;
#[cfg(feature = "webhook")]
pub use webhook::{WebhookTarget, Webhooks};
