//! The PostgreSQL store: many processes on one database, transactional from any language.
//!
//! Owns opening, settings and the port; what each call does stands in the module of its area, the statements in `sql/postgres/<area>/`.
//! Invariants: one transaction a call, carried out to its end in a task of its own; rows are held in the order shards, entities by id, tasks by
//! id; a start is one statement under its shards' rows; nothing that two writers share is updated by both (counters are added to).

mod address;
mod connection;
mod counter;
mod definition;
mod entity;
mod erase;
mod facts;
mod failure;
mod history;
mod identity;
mod inbox;
mod lease;
mod row;
mod schema;
mod snapshot;
mod start;
mod statement;
mod task;
mod upcoming;
mod write;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use hence_core::name::{EntityKey, Fence, Name, TaskId};
use hence_core::task::Task;
use hence_core::timeline::{ChangeSet, EntitySnapshot};
use jiff::Timestamp;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind};
use crate::ids::IdBlock;
use crate::limits::{check_batch, check_count, check_start, check_wishes, step_names};
use crate::mode::OpenMode;
use crate::port::{
    Acceptance, Beat, ClockSetting, Count, CountsFilter, EntityFilter, EntitySummary, HistoryFilter, HistoryRow, InboxEntry,
    Lease, NewWish, OwnedShard, Ownership, Page, PageRequest, StartRequest, Store, StoreIdentity, StoredDefinition, TaskView,
    Totals, UpcomingFilter, Written,
};
use address::Address;
pub use facts::PostgresFacts;
use connection::{Connections, Kind, transaction, whole};
use start::Owned;
use write::{Call, Known};

/// After how many noted rows of counters they are folded: what a reader sums up stays a matter of milliseconds.
const FOLD_AFTER: u64 = 20_000;

/// Settings of the PostgreSQL store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// How it is opened.
    pub mode: OpenMode,
    /// How many shards a new store gets; an existing one keeps its number.
    pub shards: u16,
    /// How many connections there are at most; two more are kept for leases.
    pub connections_max: usize,
}

impl PostgresOptions {
    /// The default settings for that mode: 64 shards, 16 connections.
    pub fn new(mode: OpenMode) -> Self {
        Self { mode, shards: 64, connections_max: 16 }
    }
}

/// What was found of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaFound {
    /// The number of the newest migration that was applied; `None` where there is no store.
    pub found: Option<u32>,
    /// The newest that this program knows.
    pub known: u32,
}

/// A store in the schema `hence` of a PostgreSQL database, version 15 or newer.
pub struct PostgresStore {
    inner: Arc<Inner>,
    ids: Mutex<IdBlock>,
    /// The newest folding of counters.
    folding: Mutex<Option<JoinHandle<()>>>,
}

struct Inner {
    connections: Connections,
    options: PostgresOptions,
    shards: OnceCell<u16>,
    known: Known,
    /// Rows of counters that this process has noted since it folded them last.
    noted: AtomicU64,
}

impl PostgresStore {
    /// The store at `url` as `options` say: its schema is made or brought up to date in the mode `Create`, looked at in the others.
    /// # Errors
    /// `Missing`: there is no database, no store in it, or one with an older schema. `NewerSchema`: it was written by a newer program.
    /// `Invalid`: the address cannot be read. `Unavailable`: the server cannot be reached.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self, Error> {
        let mode = options.mode;
        let store = Self::new(url, options)?;
        if mode == OpenMode::Create {
            store.migrate().await?;
            return Ok(store);
        }
        let place = store.inner.connections.place();
        match store.schema().await? {
            SchemaFound { found: None, .. } => {
                Err(Error::new(ErrorKind::Missing, format!("there is no store in {place}: make it with `hence db migrate`")))
            }
            SchemaFound { found: Some(found), known } if found < known => {
                let context =
                    format!("the store in {place} has schema {found}, and this program needs {known}: run `hence db migrate`");
                Err(Error::new(ErrorKind::Missing, context))
            }
            _ => Ok(store),
        }
    }

    /// The store at `url`, which is expected to be there; nothing is connected before the first call.
    /// # Errors
    /// `Invalid`: the address cannot be read.
    pub fn new(url: &str, options: PostgresOptions) -> Result<Self, Error> {
        let is_read_only = options.mode == OpenMode::ReadOnly;
        let connections = Connections::new(Address::read(url)?, options.connections_max, is_read_only)?;
        let (shards, known, noted) = (OnceCell::new(), Known::default(), AtomicU64::new(0));
        let inner = Arc::new(Inner { connections, options, shards, known, noted });
        Ok(Self { inner, ids: Mutex::default(), folding: Mutex::default() })
    }

    /// Where it is, without user and password.
    pub fn place(&self) -> String {
        self.inner.connections.place()
    }

    /// What there is of its schema; nothing is written.
    /// # Errors
    /// `NewerSchema`, `Corrupt`, `Unavailable`.
    pub async fn schema(&self) -> Result<SchemaFound, Error> {
        let inner = Arc::clone(&self.inner);
        let found =
            whole(async move { transaction!(inner.connections, Kind::Read, |connected, _tries| schema::found(&connected)) });
        Ok(SchemaFound { found: found.await?, known: schema::SCHEMA_VERSION })
    }

    /// Brings the schema up to date, or makes a new store; the numbers of the migrations that were applied. Running it again changes nothing.
    /// # Errors
    /// `NewerSchema`, `Corrupt`; `Busy`: somebody keeps a table locked.
    pub async fn migrate(&self) -> Result<Vec<u32>, Error> {
        let inner = self.writable()?;
        whole(async move {
            transaction!(inner.connections, Kind::Write, |connected, _tries| schema::migrate(&connected, inner.options.shards))
        })
        .await
    }

    /// The text of the migration of that number, from 1.
    pub fn migration(number: u32) -> Option<&'static str> {
        statement::MIGRATIONS.get(usize::try_from(number.checked_sub(1)?).ok()?).copied()
    }

    fn writable(&self) -> Result<Arc<Inner>, Error> {
        if self.inner.options.mode == OpenMode::ReadOnly {
            return Err(Error::new(ErrorKind::ReadOnly, "the store was opened for reading only"));
        }
        Ok(Arc::clone(&self.inner))
    }

    fn ids(&self) -> MutexGuard<'_, IdBlock> {
        // Nothing panics while this is held; and a block is right or used up, whatever happened.
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Folds the counters in the background once enough was noted.
    fn noted(&self, rows: u64) {
        if self.inner.noted.fetch_add(rows, Ordering::Relaxed) + rows < FOLD_AFTER {
            return;
        }
        let mut folding = self.folding.lock().unwrap_or_else(PoisonError::into_inner);
        if folding.as_ref().is_some_and(|running| !running.is_finished()) {
            return;
        }
        self.inner.noted.store(0, Ordering::Relaxed);
        let inner = Arc::clone(&self.inner);
        *folding = Some(tokio::spawn(async move {
            if let Err(error) = inner.fold().await {
                tracing::warn!(%error, "counters were not folded; the next write tries again");
            }
        }));
    }
}

impl Inner {
    /// How many shards the store has.
    async fn shards(&self) -> Result<u16, Error> {
        let read = || async {
            let identity: Result<StoreIdentity, Error> =
                transaction!(self.connections, Kind::Read, |connected, _tries| identity::identity(&connected));
            identity.map(|identity| identity.shards)
        };
        self.shards.get_or_try_init(read).await.copied()
    }

    async fn fold(&self) -> Result<(), Error> {
        transaction!(self.connections, Kind::Write, |connected, _tries| counter::fold(&connected))
    }
}

/// A call that reads: `reads!(self, Kind::Look, |connected| …)`.
macro_rules! reads {
    ($self:ident, $kind:expr, |$connected:ident| $work:expr) => {{
        let inner = Arc::clone(&$self.inner);
        whole(async move { transaction!(inner.connections, $kind, |$connected, _tries| $work) }).await
    }};
}

/// A call that writes.
macro_rules! writes {
    ($self:ident, $kind:expr, |$connected:ident| $work:expr) => {{
        let inner = $self.writable()?;
        whole(async move { transaction!(inner.connections, $kind, |$connected, _tries| $work) }).await
    }};
}

#[async_trait]
impl Store for PostgresStore {
    async fn identity(&self) -> Result<StoreIdentity, Error> {
        reads!(self, Kind::Read, |connected| identity::identity(&connected))
    }

    async fn clock(&self) -> Result<ClockSetting, Error> {
        reads!(self, Kind::Look, |connected| identity::clock(&connected))
    }

    async fn set_clock(&self, setting: ClockSetting) -> Result<(), Error> {
        writes!(self, Kind::Alone, |connected| identity::set_clock(&connected, setting))
    }

    async fn put_definition(&self, definition: StoredDefinition) -> Result<bool, Error> {
        writes!(self, Kind::Write, |connected| definition::put(&connected, &definition))
    }

    async fn definitions(&self) -> Result<Vec<StoredDefinition>, Error> {
        reads!(self, Kind::Look, |connected| definition::list(&connected))
    }

    async fn accept(&self, wishes: Vec<NewWish>, now: Timestamp) -> Result<Vec<Acceptance>, Error> {
        check_wishes(&wishes)?;
        let inner = self.writable()?;
        whole(async move {
            let shards = inner.shards().await?;
            transaction!(inner.connections, Kind::Write, |connected, _tries| inbox::accept(&connected, shards, &wishes, now))
        })
        .await
    }

    async fn wishes(&self, lease: Option<&Lease>, ready_at: Timestamp, limit: usize) -> Result<Vec<InboxEntry>, Error> {
        check_count(limit)?;
        let shards = lease.map(|lease| Owned::of(lease).shards);
        reads!(self, Kind::Look, |connected| inbox::list(&connected, shards.clone(), ready_at, limit))
    }

    async fn wishes_of(&self, entity: &EntityKey) -> Result<Vec<InboxEntry>, Error> {
        let entity = entity.clone();
        reads!(self, Kind::Look, |connected| inbox::of_entity(&connected, &entity))
    }

    async fn reserve_ids(&self, count: usize) -> Result<Range<i64>, Error> {
        check_count(count)?;
        if let Some(ids) = self.ids().take(count) {
            return Ok(ids);
        }
        let block = writes!(self, Kind::Alone, |connected| identity::reserve(&connected, count))?;
        Ok(self.ids().renew(block, count))
    }

    async fn snapshots(&self, entities: &[EntityKey]) -> Result<Vec<EntitySnapshot>, Error> {
        check_batch(entities.len())?;
        let entities = entities.to_vec();
        reads!(self, Kind::Read, |connected| snapshot::snapshots(&connected, &entities))
    }

    async fn write(&self, lease: Option<&Lease>, changes: Vec<ChangeSet>, now: Timestamp) -> Result<Vec<Written>, Error> {
        check_batch(changes.len())?;
        let inner = self.writable()?;
        let lease = lease.map(Owned::of);
        let done = whole(async move {
            let (shards, is_careful) = (inner.shards().await?, AtomicBool::new(false));
            let call = Call { known: &inner.known, shards, now, is_careful: &is_careful };
            let done = transaction!(inner.connections, Kind::Write, |connected, _tries| {
                write::write(&connected, &call, lease.as_ref(), &changes)
            })?;
            if let Some(at) = done.written_at {
                inner.known.saw_history(at);
            }
            Ok(done)
        });
        let done = done.await?;
        self.noted(done.noted);
        Ok(done.answers)
    }

    async fn beat(&self, beat: &Beat) -> Result<Ownership, Error> {
        let beat = beat.clone();
        writes!(self, Kind::Lease, |connected| lease::beat(&connected, &beat))
    }

    async fn ownership(&self) -> Result<Ownership, Error> {
        reads!(self, Kind::Lease, |connected| lease::ownership(&connected))
    }

    async fn take(&self, node: &str, seen: &[OwnedShard]) -> Result<Vec<OwnedShard>, Error> {
        let (node, seen) = (node.to_owned(), seen.to_vec());
        writes!(self, Kind::Lease, |connected| lease::take(&connected, &node, &seen))
    }

    async fn release(&self, lease: &Lease) -> Result<(), Error> {
        let lease = Owned::of(lease);
        writes!(self, Kind::Lease, |connected| lease::release(&connected, &lease))
    }

    async fn forget(&self, node: &str, beat: i64) -> Result<bool, Error> {
        let node = node.to_owned();
        writes!(self, Kind::Lease, |connected| lease::forget(&connected, &node, beat))
    }

    async fn due_soon(
        &self,
        lease: &Lease,
        until: Timestamp,
        after: Option<(Timestamp, TaskId)>,
        limit: usize,
    ) -> Result<Vec<(Timestamp, TaskId)>, Error> {
        check_count(limit)?;
        let lease = Owned::of(lease);
        reads!(self, Kind::Look, |connected| start::due_soon(&connected, &lease, (after, until), limit))
    }

    async fn start_except(&self, lease: &Lease, request: StartRequest, except: &[(Name, Name)]) -> Result<Vec<Task>, Error> {
        check_start(&request)?;
        let lease = Owned::of(lease);
        let except = step_names(except);
        let started = writes!(self, Kind::Alone, |connected| start::start(&connected, (&lease, &except), &request))?;
        // Two tallies for each batch.
        self.noted(if started.is_empty() { 0 } else { 2 });
        Ok(started)
    }

    async fn attempts_to_stop(&self, attempts: &[(TaskId, Fence)]) -> Result<Vec<TaskId>, Error> {
        check_batch(attempts.len())?;
        let attempts = attempts.to_vec();
        reads!(self, Kind::Look, |connected| start::attempts_to_stop(&connected, &attempts))
    }

    async fn orphans(&self, lease: &Lease, limit: usize) -> Result<Vec<Task>, Error> {
        check_count(limit)?;
        let lease = Owned::of(lease);
        reads!(self, Kind::Look, |connected| start::orphans(&connected, &lease, limit))
    }

    async fn overdue_answers(&self, lease: &Lease, now: Timestamp, limit: usize) -> Result<Vec<Task>, Error> {
        check_count(limit)?;
        let lease = Owned::of(lease);
        reads!(self, Kind::Look, |connected| start::overdue_answers(&connected, &lease, now, limit))
    }

    async fn upcoming(&self, filter: &UpcomingFilter, page: PageRequest) -> Result<Page<Task>, Error> {
        check_count(page.limit)?;
        let filter = filter.clone();
        reads!(self, Kind::Read, |connected| upcoming::upcoming(&connected, &filter, &page))
    }

    async fn history(&self, filter: &HistoryFilter, page: PageRequest) -> Result<Page<HistoryRow>, Error> {
        check_count(page.limit)?;
        let filter = filter.clone();
        reads!(self, Kind::Read, |connected| history::history(&connected, &filter, &page))
    }

    async fn task(&self, id: TaskId) -> Result<Option<TaskView>, Error> {
        reads!(self, Kind::Read, |connected| task::task(&connected, id))
    }

    async fn counts(&self, filter: &CountsFilter) -> Result<Vec<Count>, Error> {
        let filter = filter.clone();
        reads!(self, Kind::Look, |connected| counter::counts(&connected, &filter))
    }

    async fn totals(&self) -> Result<Totals, Error> {
        reads!(self, Kind::Read, |connected| counter::totals(&connected))
    }

    async fn entities(&self, filter: &EntityFilter, page: PageRequest) -> Result<Page<EntitySummary>, Error> {
        check_count(page.limit)?;
        let filter = filter.clone();
        reads!(self, Kind::Look, |connected| entity::list(&connected, &filter, &page))
    }

    async fn erase(&self, entity: &EntityKey, now: Timestamp) -> Result<bool, Error> {
        let inner = self.writable()?;
        let entity = entity.clone();
        let done = whole(async move {
            let (shards, is_careful) = (inner.shards().await?, AtomicBool::new(false));
            let call = Call { known: &inner.known, shards, now, is_careful: &is_careful };
            transaction!(inner.connections, Kind::Write, |connected, _tries| erase::erase(&connected, &call, &entity))
        });
        let done = done.await?;
        self.noted(done.as_ref().map_or(0, |done| done.noted));
        Ok(done.is_some())
    }

    async fn due_erasures(&self, lease: Option<&Lease>, now: Timestamp, limit: usize) -> Result<Vec<EntityKey>, Error> {
        check_count(limit)?;
        let shards = lease.map(|lease| Owned::of(lease).shards);
        reads!(self, Kind::Look, |connected| erase::due(&connected, shards.clone(), now, limit))
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, Error> {
        check_count(limit)?;
        let pruned = writes!(self, Kind::Write, |connected| erase::prune(&connected, before, limit))?;
        if pruned == 0 {
            // The last call of a round: parts of history that became empty go, unless somebody looks at them just now.
            let dropped: Result<(), Error> = writes!(self, Kind::Alone, |connected| erase::drop_history(&connected, before));
            if let Err(error) = dropped {
                tracing::warn!(%error, "empty parts of history stay for now");
            }
        }
        Ok(pruned)
    }
}
