//! Telling: enrolments, events and facts, one or many.

use std::collections::BTreeMap;

use hence_core::carry_out::WishResult;
use hence_core::name::{EntityKey, EventName, Name, WishId};
use hence_core::task::Task;
use hence_core::wish::Wish;
use hence_store::port::{Acceptance, NewWish, Statement};
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
///
/// ```
/// # fn main() -> Result<(), hence::Error> {
/// let enrolment = hence::Enrolment::new("trial".parse()?, "account/42".parse()?)
///     .given("created_at".parse()?, "2026-03-02T09:00:00Z".parse().expect("an instant"))
///     .facts(serde_json::json!({ "account": { "email": "ann@example.com" } }));
/// # Ok(())
/// # }
/// ```
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

/// Something to tell. See [`Client::tell`].
///
/// ```
/// # fn main() -> Result<(), hence::Error> {
/// use hence::{Enrolment, Telling};
/// let enrolment = Enrolment::new("trial".parse()?, "account/42".parse()?);
/// let telling = Telling::enrol(enrolment).key("signup-42").at("2026-03-02T09:00:00Z".parse().expect("an instant"));
/// # Ok(())
/// # }
/// ```
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
            Wish::Cancel { .. } | Wish::Reschedule { .. } | Wish::Erase { .. } => Vec::new(),
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
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # let client = hence::Hence::builder().client().await?;
    /// use hence::{Telling, Told};
    /// let paid = Telling::event("account/42".parse()?, "account.paid".parse()?, serde_json::Value::Null, serde_json::Value::Null);
    /// client.tell(paid.clone().key("payment-7")).await?;
    /// assert_eq!(client.tell(paid.key("payment-7")).await?, Told::Duplicate);
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// The store cannot be written, or the key was used for something else.
    pub async fn tell(&self, telling: Telling) -> Result<Told, Error> {
        let told = self.tell_many(vec![telling]).await?;
        Ok(told.into_iter().next().unwrap_or(Told::Accepted))
    }

    /// Enrols an entity now, with what is known of it: an object of objects by group, or null.
    ///
    /// More can be said with [`Telling::enrol`]: instants, when it happened, and a key that makes telling it twice the same as once.
    ///
    /// ```
    /// # use hence::{Hence, Told};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// let client = Hence::builder()
    ///     .definition(
    ///         r#"
    ///         [timeline]
    ///         name = "welcome"
    ///         entity = "account"
    ///         anchor = "created_at"
    ///         [step.greet]
    ///         due = "1 day"
    ///         do = { handler = "greet" }
    ///         "#,
    ///     )
    ///     .client()
    ///     .await?;
    /// let told = client.enrol("welcome", "account/42", serde_json::Value::Null).await?;
    /// assert_eq!(told, Told::CarriedOut);
    /// assert_eq!(client.upcoming("account/42").await?[0].step.as_str(), "greet");
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// The store cannot be written, or a name is none. What cannot be carried out is the answer [`Told::Refused`].
    pub async fn enrol<T, E>(&self, timeline: T, entity: E, facts: Value) -> Result<Told, Error>
    where
        T: TryInto<Name>,
        E: TryInto<EntityKey>,
        Error: From<T::Error> + From<E::Error>,
    {
        self.tell(Telling::enrol(Enrolment::new(timeline.try_into()?, entity.try_into()?).facts(facts))).await
    }

    /// Tells that something happened to an entity now; `data` is an object that the event carries, or null.
    ///
    /// More can be said with [`Telling::event`]: facts, when it happened, and a key.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # let client = hence::Hence::builder().client().await?;
    /// client.event("account/42", "account.paid", serde_json::json!({ "plan": "small" })).await?;
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// As [`Client::enrol`].
    pub async fn event<E, N>(&self, entity: E, name: N, data: Value) -> Result<Told, Error>
    where
        E: TryInto<EntityKey>,
        N: TryInto<EventName>,
        Error: From<E::Error> + From<N::Error>,
    {
        self.tell(Telling::event(entity.try_into()?, name.try_into()?, data, Value::Null)).await
    }

    /// Schedules one task without a definition; see [`Telling::schedule`].
    ///
    /// ```
    /// # use hence::jiff::{SignedDuration, Timestamp};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # let client = hence::Hence::builder().client().await?;
    /// let tomorrow = client.now().await? + SignedDuration::from_hours(24);
    /// client.schedule("order/7", "call_back", tomorrow, serde_json::json!({ "handler": "call" })).await?;
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// As [`Client::enrol`].
    pub async fn schedule<E, K>(&self, entity: E, key: K, due_at: Timestamp, action: Value) -> Result<Told, Error>
    where
        E: TryInto<EntityKey>,
        K: TryInto<Name>,
        Error: From<E::Error> + From<K::Error>,
    {
        self.tell(Telling::schedule(entity.try_into()?, key.try_into()?, due_at, action)).await
    }

    /// The statement that tells this within a transaction of your own, on your own connection to the SQLite file that the store shares:
    /// it is told when you commit, and was never told when you roll back.
    ///
    /// Made before the transaction begins, run once in it. While your transaction holds the file's write lock, everything else that tells
    /// or operates waits for it. After the commit an engine of another process looks within a second; [`Client::wake`] makes one of this
    /// process look at once. What became of it is in the history. The number of changed rows that a driver gives for it means nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("app.db");
    /// let mut app = rusqlite::Connection::open(&path)?;
    /// app.execute_batch("create table account (id integer primary key)")?;
    /// let hence = hence::Hence::builder().sqlite(&path).client().await?;
    ///
    /// let paid = hence::Telling::event("account/42".parse()?, "account.paid".parse()?, serde_json::Value::Null, serde_json::Value::Null);
    /// let statement = hence.statement(paid).await?;
    /// let transaction = app.transaction()?;
    /// transaction.execute("insert into account (id) values (42)", [])?;
    /// transaction.execute(statement.sql, [&statement.value])?;
    /// transaction.commit()?;
    /// hence.wake();
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// The store is not one in an SQLite file, cannot be read, or the key is too long. Running the statement fails when its key was used for
    /// something else (HNC-0307).
    pub async fn statement(&self, telling: Telling) -> Result<Statement, Error> {
        let now = self.now().await?;
        let wish =
            NewWish { wish: telling.wish, at: telling.at.unwrap_or(now), actor: self.actor().to_owned(), key: telling.key };
        Ok(self.store().statement(&wish, now)?)
    }

    /// Lets an engine of this process look at once for what others told, such as after a commit of a [`Client::statement`].
    pub fn wake(&self) {
        self.told().notify_one();
    }

    /// The task without a definition that waits, runs or is held for the entity under that key; the one scheduled last.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # use hence::jiff::SignedDuration;
    /// # let client = hence::Hence::builder().client().await?;
    /// # let due_at = client.now().await? + SignedDuration::from_hours(24);
    /// # client.schedule("order/7", "call", due_at, serde_json::json!({ "handler": "call" })).await?;
    /// # let task = client.upcoming("order/7").await?.remove(0);
    /// let waits = client.scheduled(&"order/7".parse()?, &"call".parse()?).await?;
    /// assert_eq!(waits.map(|waits| waits.id), Some(task.id));
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// The store cannot be read.
    pub async fn scheduled(&self, entity: &EntityKey, key: &Name) -> Result<Option<Task>, Error> {
        let snapshots = self.store().snapshots(std::slice::from_ref(entity)).await?;
        let live = snapshots.into_iter().flat_map(|snapshot| snapshot.live);
        Ok(live.filter(|task| task.timeline.is_none() && task.step == *key).max_by_key(|task| task.id))
    }

    /// Tells many things, in order; one answer for each.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # let client = hence::Hence::builder().client().await?;
    /// use hence::Telling;
    /// let facts = |id: u32| Ok(Telling::facts(format!("account/{id}").parse()?, serde_json::json!({ "account": { "plan": "small" } })));
    /// let told = client.tell_many((1..=3).map(facts).collect::<Result<_, hence::Error>>()?).await?;
    /// assert_eq!(told.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
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
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # let client = hence::Hence::builder().client().await?;
    /// assert_eq!(client.settle(100).await?, 0, "all that was told is carried out");
    /// # Ok(())
    /// # }
    /// ```
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
