//! The client: everything that a program or a person tells and asks.
//!
//! Telling is durable when the call returns, whether an engine runs or not: the wish is in the inbox first and carried out at once
//! where that is possible. Operating on a task is the conditional write itself and answers at once. Cloning is cheap.

mod ask;
mod late;
mod operate;
mod tell;

use std::collections::BTreeSet;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use hence_core::answer::Problem;
use hence_core::definition::Definition;
use hence_core::library::Library;
use hence_core::name::{EntityKey, Name};
use hence_core::timeline::EntitySnapshot;
use hence_core::value::Facts;
use hence_core::wish::Wish;
use hence_store::Store;
use hence_store::port::{BATCH_MAX, InboxEntry, StoredDefinition};
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::error::Error;
use crate::facts::FactReaders;
use crate::host::{Host, machine};
use crate::under_way::UnderWay;

pub use ask::Because;
pub use operate::CancelAnswer;
pub use tell::{Enrolment, NotYet, TOLD_BYTES_MAX, Telling, Told};

/// How old the loaded definitions may be when something that was told is planned.
const LIBRARY_AGE_MAX: Duration = Duration::from_secs(1);

/// Tells and asks: what [`Hence`](crate::Hence) is used as, or by itself where an engine runs elsewhere ([`Builder::client`]).
///
/// Telling is durable when the call returns. Cloning is cheap.
///
/// [`Builder::client`]: crate::Builder::client
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    host: Arc<dyn Host>,
    store: Arc<dyn Store>,
    clock: Clock,
    /// Replaced as a whole, so that whoever reads it holds it without a lock.
    library: RwLock<Arc<Library>>,
    /// Held while the library is changed: the real time at which the store was asked last.
    loaded_at: tokio::sync::Mutex<Duration>,
    readers: FactReaders,
    actor: String,
    /// Raised when something was told, so that an engine of this process looks at once.
    told: Notify,
    under_way: UnderWay,
    cursor: std::sync::atomic::AtomicI64,
}

impl Client {
    /// A client of this store. `actor` is kept with everything it tells, such as `app` or `cli:anna`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// use std::sync::Arc;
    /// let client = hence::Client::open(Arc::new(hence::store::MemoryStore::new()), hence::FactReaders::default(), "app").await?;
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// The store cannot be read, or a definition in it cannot.
    pub async fn open(store: Arc<dyn Store>, readers: FactReaders, actor: &str) -> Result<Self, Error> {
        Self::open_on(machine(), store, readers, (actor, Arc::default())).await
    }

    /// Another client of the same store on the same host, whose word is kept under another name.
    pub(crate) async fn acting_as(&self, actor: &str) -> Result<Self, Error> {
        Self::open_on(Arc::clone(self.host()), Arc::clone(self.store()), self.readers().clone(), (actor, self.library())).await
    }

    /// As [`Client::open`], on that host; what of the store's definitions is loaded already is not read again.
    pub(crate) async fn open_on(
        host: Arc<dyn Host>,
        store: Arc<dyn Store>,
        readers: FactReaders,
        (actor, loaded): (&str, Arc<Library>),
    ) -> Result<Self, Error> {
        let clock = Clock::on(Arc::clone(&host), Arc::clone(&store));
        let library = RwLock::new(loaded);
        let under_way = UnderWay::default();
        let shared = Shared {
            host,
            store,
            clock,
            library,
            loaded_at: tokio::sync::Mutex::default(),
            readers,
            actor: actor.to_owned(),
            told: Notify::new(),
            under_way,
            cursor: std::sync::atomic::AtomicI64::new(0),
        };
        let client = Self { shared: Arc::new(shared) };
        client.reload().await?;
        Ok(client)
    }

    /// The store: lists over many entities, page by page.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # let client = hence::Hence::builder().client().await?;
    /// use hence::store::port::{PageRequest, UpcomingFilter};
    /// let all = client.store().upcoming(&UpcomingFilter::default(), PageRequest::first(50)).await?;
    /// assert!(all.items.is_empty() && all.next.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// The store's clock.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The instant, by the store's clock.
    /// # Errors
    /// The store cannot be read.
    pub async fn now(&self) -> Result<Timestamp, Error> {
        Ok(self.shared.clock.read().await?.now)
    }

    /// Asks a virtual clock to move to `target`, and wakes an engine of this process.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// use hence::jiff::{SignedDuration, Timestamp};
    /// let client = hence::Hence::builder().virtual_clock(Timestamp::UNIX_EPOCH).client().await?;
    /// client.advance(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24)).await?;
    /// assert_eq!(client.now().await?, Timestamp::UNIX_EPOCH, "an engine moves it there");
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// As [`Clock::advance`].
    pub async fn advance(&self, target: Timestamp) -> Result<(), Error> {
        self.clock().advance(target).await?;
        self.told().notify_one();
        Ok(())
    }

    /// The definitions that are loaded.
    pub fn library(&self) -> Arc<Library> {
        Arc::clone(&self.shared.library.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    pub(crate) fn host(&self) -> &Arc<dyn Host> {
        &self.shared.host
    }

    pub(crate) fn readers(&self) -> &FactReaders {
        &self.shared.readers
    }

    /// As [`FactReaders::read`], on this client's host.
    pub(crate) async fn read_facts(
        &self,
        definition: &Definition,
        groups: &BTreeSet<String>,
        entity: &EntityKey,
        known: &Facts,
    ) -> Result<Facts, Problem> {
        self.readers().read(&**self.host(), definition, groups, entity, known).await
    }

    pub(crate) fn actor(&self) -> &str {
        &self.shared.actor
    }

    /// Moves a cursor over the inbox, which only the planted failure F21 keeps; whether the wish lies behind it.
    pub(crate) fn is_behind_cursor(&self, id: hence_core::name::WishId) -> bool {
        self.shared.cursor.fetch_max(id.0, std::sync::atomic::Ordering::Relaxed) < id.0
    }

    pub(crate) fn told(&self) -> &Notify {
        &self.shared.told
    }

    /// The attempts that engines of this client have under way.
    pub(crate) fn under_way(&self) -> &UnderWay {
        &self.shared.under_way
    }

    /// Asks attempts under way to end whose tasks others have cancelled or erased (G13).
    pub(crate) async fn watch(&self) -> Result<(), Error> {
        for attempts in self.under_way().attempts().chunks(BATCH_MAX) {
            for id in self.store().attempts_to_stop(attempts).await? {
                self.under_way().stop(id);
            }
        }
        Ok(())
    }

    /// Checks a document and makes it the version that new enrolments follow; doing so twice changes nothing.
    ///
    /// Entities that are enrolled already keep the version that they were enrolled with.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # let client = hence::Hence::builder().client().await?;
    /// let problems = client.put_definition("[timeline]").await.unwrap_err();
    /// let hence::ErrorKind::Definition(problems) = problems else { unreachable!() };
    /// assert!(!problems.is_empty(), "all of them at once");
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// [`Error::Definition`]: every problem of the document; nothing was stored.
    pub async fn put_definition(&self, source: &str) -> Result<Arc<Definition>, Error> {
        let definition = Arc::new(Definition::load(source).map_err(Error::Definition)?.definition);
        let stored = StoredDefinition {
            hash: definition.hash.clone(),
            name: definition.name.clone(),
            source: source.to_owned(),
            created_at: self.now().await?,
            is_current: true,
        };
        let _changing = self.shared.loaded_at.lock().await;
        self.store().put_definition(stored).await?;
        let mut library = self.shared.library.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::make_mut(&mut library).add(Arc::clone(&definition));
        Ok(definition)
    }

    /// Loads every definition of the store anew; planning does so too, at most once a second.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # let client = hence::Hence::builder().client().await?;
    /// client.reload().await?;
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// The store cannot be read, or a definition in it cannot: it was written by a newer release.
    pub async fn reload(&self) -> Result<(), Error> {
        let mut loaded_at = self.shared.loaded_at.lock().await;
        *loaded_at = self.host().elapsed();
        let known = self.library();
        let mut library = Library::default();
        for stored in self.store().definitions().await? {
            let definition = match known.version(&stored.hash) {
                Some(definition) => Arc::clone(definition),
                None => Arc::new(Definition::load(&stored.source).map_err(Error::Definition)?.definition),
            };
            if stored.is_current {
                library.add(definition);
            } else {
                library.add_older(definition);
            }
        }
        *self.shared.library.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(library);
        Ok(())
    }

    /// As `reload`; what a newer release wrote and this one cannot read leaves everything as it is loaded.
    async fn refresh(&self) -> Result<(), Error> {
        match self.reload().await {
            Err(error @ Error::Definition(_)) => {
                tracing::error!(%error, "a definition in the store cannot be read; those that are loaded hold on");
                Ok(())
            }
            other => other,
        }
    }

    /// What is stored of entities; the versions that they follow are loaded, also those that another process stored meanwhile.
    pub(crate) async fn snapshots(&self, entities: &[EntityKey]) -> Result<Vec<EntitySnapshot>, Error> {
        let snapshots = self.store().snapshots(entities).await?;
        let library = self.library();
        let mut versions = snapshots.iter().flat_map(|snapshot| &snapshot.timelines).map(|timeline| &timeline.definition);
        if versions.any(|version| library.version(version).is_none()) {
            self.refresh().await?;
        }
        Ok(snapshots)
    }

    /// The library, loaded anew if another process stored the definition that one of these wishes is for, and once a second: it may have
    /// stored a newer version.
    pub(crate) async fn library_for(&self, entries: impl Iterator<Item = &InboxEntry>) -> Result<Arc<Library>, Error> {
        let library = self.library();
        let is_unknown = |name: &Name| library.current(name).is_none();
        let mut names = entries.filter_map(|entry| match entry {
            InboxEntry::Wish(stored) => match &stored.wish {
                Wish::Enrol { timeline, .. } => Some(timeline),
                _ => None,
            },
            InboxEntry::Unreadable { .. } => None,
        });
        let age = self.host().elapsed().saturating_sub(*self.shared.loaded_at.lock().await);
        if names.any(is_unknown) || library.all_current().next().is_none() {
            self.reload().await?;
        } else if age >= LIBRARY_AGE_MAX {
            self.refresh().await?;
        }
        Ok(self.library())
    }
}
