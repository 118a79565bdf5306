//! Finds the dispatcher for a destination.
//!
//! Owns: the set of dispatchers of a process. Invariant: [`Dispatchers::deliver`] keeps the port's promise even where a
//! transport does not: it is cut off at its deadline, and then nobody can know what happened.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::port::{Attempt, DEADLINE_SLACK, Destination, Dispatcher, Problem, Reply};

/// The dispatchers of a process, by the kind of destination they carry.
#[derive(Clone, Default)]
pub struct Dispatchers {
    by_kind: BTreeMap<String, Arc<dyn Dispatcher>>,
}

impl fmt::Debug for Dispatchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_kind.keys()).finish()
    }
}

impl Dispatchers {
    /// No dispatchers yet.
    pub fn new() -> Dispatchers {
        Dispatchers::default()
    }

    /// Adds a dispatcher; it takes the place of an earlier one that carried the same kind.
    #[must_use]
    pub fn with(mut self, dispatcher: Arc<dyn Dispatcher>) -> Dispatchers {
        self.add(dispatcher);
        self
    }

    /// Adds a dispatcher; it takes the place of an earlier one that carried the same kind.
    pub fn add(&mut self, dispatcher: Arc<dyn Dispatcher>) {
        self.by_kind.insert(dispatcher.carries().to_owned(), dispatcher);
    }

    /// The dispatchers, by the kind they carry.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Dispatcher>> {
        self.by_kind.values()
    }

    /// The kinds that can be carried, in alphabetical order.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.by_kind.keys().map(String::as_str)
    }

    /// Checks, without any I/O, that a destination could be reached; to be asked before a task is started.
    ///
    /// # Errors
    /// `no-dispatcher` when nothing carries its kind, else what the dispatcher says.
    pub fn can_carry(&self, to: &Destination) -> Result<(), Problem> {
        self.find(to)?.accepts(to)
    }

    /// Delivers an attempt over the transport its destination names; ends within the attempt's timeout and slack.
    pub async fn deliver(&self, attempt: &Attempt) -> Reply {
        let deadline = attempt.timeout + DEADLINE_SLACK;
        tokio::time::timeout(deadline, self.carry(attempt)).await.unwrap_or_else(|_| cut_off(attempt))
    }

    /// As [`Dispatchers::deliver`] by another clock: a delivery that has not ended when `deadline` does is cut off.
    pub async fn deliver_before(&self, attempt: &Attempt, deadline: impl Future<Output = ()> + Send) -> Reply {
        tokio::select! {
            biased;
            reply = self.carry(attempt) => reply,
            () = deadline => cut_off(attempt),
        }
    }

    async fn carry(&self, attempt: &Attempt) -> Reply {
        match self.find(&attempt.to) {
            Ok(dispatcher) => match dispatcher.accepts(&attempt.to) {
                Ok(()) => dispatcher.deliver(attempt).await,
                Err(problem) => Reply::Refused { problem },
            },
            Err(problem) => Reply::Refused { problem },
        }
    }

    fn find(&self, to: &Destination) -> Result<&Arc<dyn Dispatcher>, Problem> {
        self.by_kind.get(to.kind()).ok_or_else(|| {
            let known: Vec<&str> = self.kinds().collect();
            let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
            Problem::new("no-dispatcher", format!("nothing here carries `{}`; this process carries: {known}", to.kind()))
        })
    }
}

fn cut_off(attempt: &Attempt) -> Reply {
    let (kind, timeout) = (attempt.to.kind(), attempt.timeout);
    Reply::Unknown { problem: Problem::new("timed-out", format!("the {kind} dispatcher did not end within {timeout:?}")) }
}

#[cfg(test)]
mod tests {
    //! Goal: a wrong destination is known before a start, and a transport that hangs is cut off.
    //! Method: a dispatcher that never answers, and tokio's paused clock.
    use std::time::Duration;

    use super::*;
    use crate::conformance_attempt::sample;

    struct Hangs;

    #[async_trait::async_trait]
    impl Dispatcher for Hangs {
        fn carries(&self) -> &str {
            "handler"
        }
        fn accepts(&self, _: &Destination) -> Result<(), Problem> {
            Ok(())
        }
        async fn deliver(&self, _: &Attempt) -> Reply {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn unknown_kind_is_refused_before_and_at_delivery() {
        let dispatchers = Dispatchers::new().with(Arc::new(Hangs));
        let mut attempt = sample();
        attempt.to = Destination::Broker { kind: "rabbitmq".into(), target: "crm".into(), key: "k".into() };
        let problem = dispatchers.can_carry(&attempt.to).unwrap_err();
        assert_eq!(problem.message(), "nothing here carries `rabbitmq`; this process carries: handler");
        assert_eq!(dispatchers.deliver(&attempt).await, Reply::Refused { problem });
    }

    #[tokio::test]
    async fn hanging_dispatcher_is_cut_off_as_unknown() {
        let dispatchers = Dispatchers::new().with(Arc::new(Hangs));
        let mut attempt = sample();
        attempt.timeout = Duration::from_millis(1);
        let reply = dispatchers.deliver(&attempt).await;
        assert!(matches!(reply, Reply::Unknown { .. }), "{reply:?}");
    }
}
