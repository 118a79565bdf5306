//! The receivers: programs outside that are told to do things, and answer, refuse, hang, act and then fail, or answer late; and the
//! application's database, from which facts are read.
//!
//! What a receiver does happens outside of the sender: it acts also when its sender has died meanwhile.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hence::{Client, FactReader};
use hence_core::name::{Fence, TaskId};
use hence_dispatch::{Attempt, Destination, Dispatcher, Problem, Reply};
use serde_json::{Map, Value, json};

use crate::executor::{OUTSIDE, Process};
use crate::ledger::Heard;
use crate::world::{State, World};

/// The handler that a node of a mixed fleet lacks.
const RARE: &str = "rare";

/// The receivers as one node reaches them.
pub(crate) struct Receivers {
    /// Where they stand.
    pub(crate) world: Arc<World>,
    /// The node.
    pub(crate) process: Process,
    /// Through what they answer later.
    pub(crate) client: Client,
    /// Whether the node lacks a handler.
    pub(crate) lacks_rare: bool,
}

/// What a receiver does with one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Deed {
    Answer(Option<String>),
    Again(Option<Duration>),
    Refuse,
    ActThenFail,
    Hang { acts: bool },
    Later { within: Duration, after: Duration, word: String },
    Unexpected,
    Kill { acts: bool },
}

/// A delivery under way; dropping it unheard is what its sender sees when it dies or is cut off.
struct Hearing {
    world: Arc<World>,
    process: Process,
    index: usize,
    is_heard: bool,
}

impl Hearing {
    fn hear(&mut self, heard: &Heard) {
        self.is_heard = true;
        let index = self.index;
        self.world.observe(|ledger, moment, trace| ledger.heard(moment, index, heard, trace));
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        if !self.is_heard {
            let is_alive = self.world.executor.is_alive(self.process);
            self.hear(if is_alive { &Heard::Failure } else { &Heard::Nothing });
        }
    }
}

impl Deed {
    fn acts(&self) -> bool {
        match self {
            Deed::Answer(_) | Deed::ActThenFail | Deed::Later { .. } | Deed::Unexpected => true,
            Deed::Hang { acts } | Deed::Kill { acts } => *acts,
            Deed::Again(_) | Deed::Refuse => false,
        }
    }

    fn draw(state: &mut State, words: &[String]) -> (Deed, Duration) {
        let receivers = state.swarm.receivers;
        let dice = &mut state.dice;
        let any = dice.usize(..=words.len());
        let word = words.get(any).cloned();
        if state.is_quiet {
            return (Deed::Answer(word), Duration::from_millis(dice.u64(1..50)));
        }
        let most = u64::try_from(receivers.answer_max.as_millis()).unwrap_or(1);
        let after = Duration::from_millis(dice.u64(1..=most));
        let mut left = dice.u32(..1000);
        let mut falls = |share: u32| {
            let is_hit = left < share;
            left = if is_hit { u32::MAX } else { left.saturating_sub(share) };
            is_hit
        };
        let deed = if falls(receivers.again) {
            Deed::Again(dice.bool().then(|| Duration::from_secs(dice.u64(1..6))))
        } else if falls(receivers.refuse) {
            Deed::Refuse
        } else if falls(receivers.act_then_fail) {
            Deed::ActThenFail
        } else if falls(receivers.hang) {
            Deed::Hang { acts: dice.bool() }
        } else if falls(receivers.later) {
            let (within, after) = (Duration::from_secs(dice.u64(1..12)), Duration::from_secs(dice.u64(1..16)));
            Deed::Later { within, after, word: word.unwrap_or_else(|| "done".to_owned()) }
        } else if falls(receivers.unexpected) {
            Deed::Unexpected
        } else if falls(receivers.poison) {
            Deed::Kill { acts: dice.bool() }
        } else {
            Deed::Answer(word)
        };
        (deed, after)
    }
}

impl Receivers {
    /// Answers a delivery later, sometimes twice.
    fn answer_later(&self, (id, fence): (TaskId, Fence), after: Duration, word: String) {
        let (world, client) = (Arc::clone(&self.world), self.client.clone());
        let times = world.with(|state| if state.dice.u32(..4) == 0 { 2 } else { 1 });
        let answering = async move {
            for _ in 0..times {
                world.executor.wait(after).await;
                let Ok(outcome) = word.parse() else { return };
                world.observe(|ledger, _, _| ledger.answers_later(id, fence, &word));
                let answered = client.complete(id, fence, outcome, Value::Null).await;
                world.note(&format!(
                    "later answer `{word}` to {id} under {fence}: {}",
                    if answered.is_ok() { "taken" } else { "refused" }
                ));
            }
        };
        self.world.executor.begin(OUTSIDE, Box::pin(answering));
    }

    fn act_soon(&self, index: usize, within: Duration) {
        let (world, after) = (Arc::clone(&self.world), self.world.span(within));
        let acting = async move {
            world.executor.wait(after).await;
            world.observe(|ledger, moment, trace| ledger.acted(moment, index, trace));
        };
        self.world.executor.begin(OUTSIDE, Box::pin(acting));
    }
}

#[async_trait]
impl Dispatcher for Receivers {
    fn carries(&self) -> &str {
        "handler"
    }

    fn accepts(&self, to: &Destination) -> Result<(), Problem> {
        match to {
            Destination::Handler { name } if name == RARE && self.lacks_rare => {
                Err(Problem::new("no-handler", "handler `rare` is not registered"))
            }
            _ => Ok(()),
        }
    }

    async fn deliver(&self, attempt: &Attempt) -> Reply {
        let number = attempt.task.rsplit('_').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        let (id, fence) = (TaskId(number), Fence(attempt.fence));
        let (deed, after) = self.world.with(|state| {
            let words = state.ledger.words(id);
            Deed::draw(state, &words)
        });
        let mut index = 0;
        let acts = deed.acts();
        self.world.observe(|ledger, moment, trace| index = ledger.sent(moment, self.process, (attempt, acts), trace));
        let paid = self.world.with(|state| state.paid.get(&attempt.entity_id).copied());
        if let Some((since, _)) = paid {
            self.world.observe(|ledger, _, _| ledger.sent_in_vain(index, since));
        }
        let mut hearing = Hearing { world: Arc::clone(&self.world), process: self.process, index, is_heard: false };
        if acts {
            self.act_soon(index, after);
        }
        if let Deed::Kill { .. } = deed {
            self.world.note(&format!("{id} kills p{}", self.process.0));
            self.world.executor.kill(self.process);
        }
        if let Deed::Hang { .. } | Deed::Kill { .. } = deed {
            std::future::pending::<()>().await;
        }
        self.world.executor.wait(after).await;
        let (heard, reply) = match deed {
            Deed::Answer(word) => {
                let said = word.clone().unwrap_or_else(|| "done".to_owned());
                (Heard::Word(said), Reply::Done { outcome: word, result: json!({ "by": "receiver" }) })
            }
            Deed::Again(ask) => (Heard::Again(ask), Reply::Again { after: ask, problem: Problem::new("busy", "come again") }),
            Deed::Refuse => (Heard::Failure, Reply::Refused { problem: Problem::new("no", "never") }),
            Deed::Later { within, after, word } => {
                self.answer_later((id, fence), after, word);
                (Heard::Later, Reply::Later { within: Some(within) })
            }
            Deed::Unexpected => (Heard::Failure, Reply::Done { outcome: Some("nonsense".to_owned()), result: Value::Null }),
            Deed::ActThenFail | Deed::Hang { .. } | Deed::Kill { .. } => {
                (Heard::Failure, Reply::Unknown { problem: Problem::new("cut", "the link was lost") })
            }
        };
        hearing.hear(&heard);
        reply
    }
}

/// The application's database.
pub(crate) struct Application {
    /// Where it stands.
    pub(crate) world: Arc<World>,
}

#[async_trait]
impl FactReader for Application {
    async fn read(&self, _: &str, entity: &str) -> Result<Option<Map<String, Value>>, String> {
        let unreadable = self.world.with(|state| state.swarm.unreadable);
        if self.world.strikes(unreadable) {
            self.world.observe(|ledger, moment, _| ledger.unreadable(moment, entity));
            self.world.note(&format!("facts of {entity} cannot be read"));
            return Err("the application's database is down".to_owned());
        }
        let paid = self.world.with(|state| state.paid.get(entity).copied());
        let paid_at = paid.map_or(Value::Null, |(_, wall)| Value::String(wall.to_string()));
        Ok(json!({ "paid_at": paid_at, "plan": "pro" }).as_object().cloned())
    }
}
