//! Telling: enrolments, events and facts, one or many.

use std::collections::BTreeMap;

use hence_core::carry_out::WishResult;
use hence_core::name::{EntityKey, EventName, Name, WishId};
use hence_core::task::Task;
use hence_core::wish::Wish;
use hence_store::port::{Acceptance, NewWish};
use jiff::Timestamp;
use serde_json::Value;

use super::Client;
use crate::error::Error;
use crate::settle;

/// The most bytes of JSON that one telling may carry as facts, data or action: what is more belongs into the application's own store.
pub const TOLD_BYTES_MAX: usize = 256 * 1024;

/// How many wishes are accepted in one transaction.
const BATCH: usize = 1000;

/// One entity to enrol.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Enrolment {
    /// The definition's name.
    pub timeline: Name,
    /// For whom.
    pub entity: EntityKey,
    /// Instants by name; each that the definition wants and that is missing is the instant of enrolment.
    pub given: BTreeMap<Name, Timestamp>,
    /// What is known: an object of objects by group; null for nothing.
    pub facts: Value,
}

impl Enrolment {
    /// Enrols `entity` in `timeline`, with nothing given yet.
    pub fn new(timeline: Name, entity: EntityKey) -> Self {
        Self { timeline, entity, given: BTreeMap::new(), facts: Value::Null }
    }

    /// Gives an instant.
    #[must_use]
    pub fn given(mut self, name: Name, at: Timestamp) -> Self {
        self.given.insert(name, at);
        self
    }

    /// Gives what is known, an object of objects by group.
    #[must_use]
    pub fn facts(mut self, facts: Value) -> Self {
        self.facts = facts;
        self
    }
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Telling {
    /// What.
    pub wish: Wish,
    /// When it happened; now, if not said.
    pub at: Option<Timestamp>,
    /// Makes telling it twice the same as once, for at least a day.
    pub key: Option<String>,
}

impl Telling {
    /// Enrols an entity.
    pub fn enrol(enrolment: Enrolment) -> Self {
        let Enrolment { timeline, entity, given, facts } = enrolment;
        Self::of(Wish::Enrol { timeline, entity, given, facts })
    }

    /// Something happened to an entity. `data` is an object that it carries, `facts` what is known now; either may be null.
    pub fn event(entity: EntityKey, name: EventName, data: Value, facts: Value) -> Self {
        Self::of(Wish::Event { entity, name, data, facts })
    }

    /// Facts of an entity changed: an object of objects by group.
    pub fn facts(entity: EntityKey, facts: Value) -> Self {
        Self::of(Wish::PutFacts { entity, facts })
    }

    /// One task without a definition: `action` happens to the entity at `due_at`. While it waits, scheduling under the same `key` again
    /// gives it another instant and another action.
    ///
    /// `action` is the `do` of a step as JSON, and beside its keys `retry`, `late`, `delivery` and `says` as a step has them:
    /// `{ "webhook": "app", "path": "/call", "data": { "phone": 7 }, "retry": { "tries": 3 } }`. Nothing in it is filled in.
    pub fn schedule(entity: EntityKey, key: Name, due_at: Timestamp, action: Value) -> Self {
        Self::of(Wish::Schedule { entity, key, due_at, action })
    }

    /// Refuses one that carries more than it may.
    fn check_size(&self) -> Result<(), Error> {
        let carried: Vec<&Value> = match &self.wish {
            Wish::Enrol { facts, .. } | Wish::PutFacts { facts, .. } => vec![facts],
            Wish::Event { data, facts, .. } => vec![data, facts],
            Wish::Schedule { action, .. } => vec![action],
        };
        let mut written = Counted(0);
        for value in carried {
            serde_json::to_writer(&mut written, value).expect("a value has text keys, and counting cannot fail");
        }
        if written.0 <= TOLD_BYTES_MAX {
            return Ok(());
        }
        let problem = format!("what was told of {} has {} bytes, {TOLD_BYTES_MAX} are allowed", self.wish.entity(), written.0);
        Err(Error::Refused { code: "HNC-0314", problem })
    }

    fn of(wish: Wish) -> Self {
        Self { wish, at: None, key: None }
    }

    /// Says when it happened.
    #[must_use]
    pub fn at(mut self, at: Timestamp) -> Self {
        self.at = Some(at);
        self
    }

    /// Says by what it is recognised when it is told again.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }
}

/// What became of something that was told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// It was carried out: the entity's tasks follow it.
    CarriedOut,
    /// The entity was enrolled already and the definition ignores that.
    AlreadyEnrolled,
    /// It was told before under this key.
    Duplicate,
    /// It is durable, and an engine carries it out.
    Accepted,
    /// It could not be carried out; history keeps it.
    Refused {
        /// The stable code.
        code: &'static str,
        /// What was wrong.
        problem: String,
    },
}

/// Counts what is written to it.
struct Counted(usize);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Client {
    /// Tells one thing. When this returns it is durable; what became of it is the answer.
    /// # Errors
    /// The store cannot be written, or the key was used for something else.
    pub async fn tell(&self, telling: Telling) -> Result<Told, Error> {
        let told = self.tell_many(vec![telling]).await?;
        Ok(told.into_iter().next().unwrap_or(Told::Accepted))
    }

    /// Schedules one task without a definition; see [`Telling::schedule`].
    /// # Errors
    /// The store cannot be written. An action that cannot be carried out is the answer [`Told::Refused`].
    pub async fn schedule(&self, entity: EntityKey, key: Name, due_at: Timestamp, action: Value) -> Result<Told, Error> {
        self.tell(Telling::schedule(entity, key, due_at, action)).await
    }

    /// The task without a definition that waits, runs or is held for the entity under that key; the one scheduled last.
    /// # Errors
    /// The store cannot be read.
    pub async fn scheduled(&self, entity: &EntityKey, key: &Name) -> Result<Option<Task>, Error> {
        let snapshots = self.store().snapshots(std::slice::from_ref(entity)).await?;
        let live = snapshots.into_iter().flat_map(|snapshot| snapshot.live);
        Ok(live.filter(|task| task.timeline.is_none() && task.step == *key).max_by_key(|task| task.id))
    }

    /// Tells many things, in order; one answer for each.
    /// # Errors
    /// The store cannot be written: the batches before are durable, the others are not. [`Error::Refused`]: one carries more than
    /// [`TOLD_BYTES_MAX`]; nothing was told.
    pub async fn tell_many(&self, tellings: Vec<Telling>) -> Result<Vec<Told>, Error> {
        tellings.iter().try_for_each(Telling::check_size)?;
        let mut answers = Vec::with_capacity(tellings.len());
        for batch in tellings.chunks(BATCH) {
            answers.extend(self.tell_batch(batch).await?);
        }
        Ok(answers)
    }

    async fn tell_batch(&self, batch: &[Telling]) -> Result<Vec<Told>, Error> {
        let now = self.now().await?;
        let wishes = batch.iter().map(|telling| NewWish {
            wish: telling.wish.clone(),
            at: telling.at.unwrap_or(now),
            actor: self.actor().to_owned(),
            key: telling.key.clone(),
        });
        let accepted = self.store().accept(wishes.collect(), now).await?;
        // From here on it is durable: whatever fails now, an engine carries it out, and the teller must not take it for refused.
        let results = self.carry_out_at_once(batch, now).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "what was told is accepted and waits for an engine");
            settle::Results::new()
        });
        self.told().notify_one();
        Ok(accepted.into_iter().map(|acceptance| answer(acceptance, &results)).collect())
    }

    async fn carry_out_at_once(&self, batch: &[Telling], now: Timestamp) -> Result<settle::Results, Error> {
        let mut entries = Vec::new();
        for entity in batch.iter().map(|telling| telling.wish.entity()).collect::<std::collections::BTreeSet<_>>() {
            entries.extend(self.store().wishes_of(entity).await?);
        }
        settle::settle(self, entries, (now, None)).await
    }

    /// Carries out what others left in the inbox, at most `limit` wishes; how many were carried out.
    ///
    /// Wishes about an entity whose facts cannot be read stay there and are tried again later; `store().entities` lists them.
    /// # Errors
    /// The store cannot be read or written.
    pub async fn settle(&self, limit: usize) -> Result<usize, Error> {
        let now = self.now().await?;
        let entries = self.store().wishes(None, now, limit).await?;
        Ok(settle::settle(self, entries, (now, None)).await?.len())
    }
}

fn answer(acceptance: Acceptance, results: &BTreeMap<WishId, WishResult>) -> Told {
    match acceptance {
        Acceptance::Accepted { is_duplicate: true, .. } => Told::Duplicate,
        Acceptance::KeyConflict { .. } => {
            Told::Refused { code: "HNC-0307", problem: "the key was used for something else".to_owned() }
        }
        Acceptance::Accepted { id, .. } => match results.get(&id) {
            None => Told::Accepted,
            Some(WishResult::Enrolled | WishResult::Told) => Told::CarriedOut,
            Some(WishResult::AlreadyEnrolled) => Told::AlreadyEnrolled,
            Some(WishResult::Refused { code, problem }) => Told::Refused { code, problem: problem.clone() },
        },
    }
}
