//! What every request can reach: the database, the clock, the teller, the verifier of webhooks, the switch for failing.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use standardwebhooks::Webhook;
use tokio::sync::mpsc;

use crate::Clock;
use crate::database::Database;
use crate::outbox::Ask;

/// The parts of the running back end; cloning shares them.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) database: Database,
    pub(crate) teller: mpsc::Sender<Ask>,
    /// Webhooks are not checked where there is none.
    pub(crate) verifier: Option<Arc<Webhook>>,
    pub(crate) clock: Clock,
    /// Until when webhooks are answered 503.
    pub(crate) fail_until: Arc<Mutex<Option<Timestamp>>>,
}

impl App {
    /// This instant by the back end's clock, in whole milliseconds as the tables keep it.
    pub(crate) fn now(&self) -> Timestamp {
        let now = (self.clock)();
        // Cutting a part of a second off an instant leaves an instant.
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    pub(crate) fn fail_until(&self, until: Option<Timestamp>) {
        *self.fail_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    pub(crate) fn is_failing(&self, now: Timestamp) -> bool {
        self.fail_until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| now < until)
    }
}
