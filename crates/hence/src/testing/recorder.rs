//! What stands in front of every dispatcher in a test: it notes each delivery, and answers it if the test says how.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use hence_dispatch::{Attempt, Destination, Dispatcher, Problem, Reply};

use super::Delivery;

/// How the test answers deliveries of a step; `None` leaves it to the dispatcher.
type Answer = Box<dyn FnMut(&Attempt) -> Option<Reply> + Send>;

/// What was delivered, and how the test answers.
#[derive(Default)]
pub(super) struct Recording {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    deliveries: Vec<Delivery>,
    taken: usize,
    answers: BTreeMap<String, Answer>,
}

impl Recording {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test's answer that panicked fails the test in any case.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn answer_with(&self, step: &str, answer: Answer) {
        self.state().answers.insert(step.to_owned(), answer);
    }

    pub(super) fn deliveries(&self) -> Vec<Delivery> {
        self.state().deliveries.clone()
    }

    pub(super) fn take_deliveries(&self) -> Vec<Delivery> {
        let mut state = self.state();
        let taken = std::mem::replace(&mut state.taken, usize::MAX);
        state.taken = state.deliveries.len();
        state.deliveries[taken..].to_vec()
    }
}

/// The dispatcher of one kind in a test.
pub(super) struct Recorder {
    pub(super) kind: String,
    /// Who carries it out where the test does not answer; without one it counts as done.
    pub(super) inner: Option<Arc<dyn Dispatcher>>,
    pub(super) recording: Arc<Recording>,
}

#[async_trait]
impl Dispatcher for Recorder {
    fn carries(&self) -> &str {
        &self.kind
    }

    fn accepts(&self, to: &Destination) -> Result<(), Problem> {
        // Which step it is for is not known here, so that any answer of the test may be the one for it.
        let answers = !self.recording.state().answers.is_empty();
        match &self.inner {
            Some(inner) if !answers => inner.accepts(to),
            _ => Ok(()),
        }
    }

    async fn deliver(&self, attempt: &Attempt) -> Reply {
        let answered = self.recording.state().answers.get_mut(&attempt.step).and_then(|answer| answer(attempt));
        let reply = match (answered, &self.inner) {
            (Some(reply), _) => reply,
            (None, Some(inner)) => match inner.accepts(&attempt.to) {
                Ok(()) => inner.deliver(attempt).await,
                Err(problem) => Reply::Refused { problem },
            },
            (None, None) => Reply::done(),
        };
        self.recording.state().deliveries.push(Delivery {
            at: attempt.started_at,
            entity: format!("{}/{}", attempt.entity_type, attempt.entity_id),
            step: attempt.step.clone(),
            to: attempt.to.clone(),
            payload: attempt.payload.clone(),
            attempt: attempt.attempt,
            reply: reply.clone(),
        });
        reply
    }
}
