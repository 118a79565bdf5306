//! The SQLite store: one file, one writing thread per process, several processes at once.
//!
//! Owns opening, errors and the port; what each call does stands in the module of its area, the statements in `sql/sqlite/<area>/`.
//! Invariants: write-ahead log; `synchronous=full` unless asked otherwise; every write begins with the write lock (`begin immediate`),
//! so that a read is never upgraded; the one shard belongs to the process that has the lock on `<file>.lock`, which ends with it.

mod connection;
mod counter;
mod definition;
mod entity;
mod erase;
mod history;
mod identity;
mod inbox;
mod lease;
mod reader;
mod reading;
mod row;
mod schema;
mod snapshot;
mod start;
mod statement;
mod task;
mod upcoming;
mod write;
mod writer;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use hence_core::name::{EntityKey, Fence, Name, TaskId};
use hence_core::task::Task;
use hence_core::timeline::{ChangeSet, EntitySnapshot};
use jiff::Timestamp;
use rusqlite::ffi;

use crate::error::{Error, ErrorKind};
use crate::ids::IdBlock;
use crate::limits::{check_batch, check_count, check_start, check_wishes, step_names};
pub use crate::mode::OpenMode;
use crate::port::{
    Acceptance, Beat, ClockSetting, Count, CountsFilter, EntityFilter, EntitySummary, HistoryFilter, HistoryRow, InboxEntry,
    Lease, NewWish, OwnedShard, Ownership, Page, PageRequest, StartRequest, Statement, Store, StoreIdentity, StoredDefinition,
    TaskView, Totals, UpcomingFilter, Written,
};
use connection::Connected;
use lease::HeldLock;
use reader::Readers;
use writer::Writer;

/// The oldest SQLite without the fault that loses data when two checkpoints meet a reset of the log (F51).
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// When a commit counts as safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// When the disk says that it is written.
    Full,
    /// When the operating system has it: about four times quicker for single writes, and a power cut may lose accepted tasks.
    Normal,
}

/// Settings of the SQLite store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// How it is opened.
    pub mode: OpenMode,
    /// When a commit counts as safe.
    pub synchronous: Synchronous,
    /// How long a call waits while another process writes.
    pub busy_timeout: Duration,
    /// How large the file may become; beyond that, writing fails as on a full disk.
    pub file_bytes_max: Option<u64>,
    /// Whether a store may be made in a file that holds the tables of another program. Where one was made, it is opened in any case.
    pub is_shared: bool,
    /// Whether the file is read as if nobody could change it; decided by `reading`.
    is_frozen: bool,
}

impl SqliteOptions {
    /// The default settings for that mode.
    pub fn new(mode: OpenMode) -> Self {
        // 10 s: a commit takes milliseconds, so whoever holds the lock longer than that is stuck and should be named.
        Self {
            mode,
            synchronous: Synchronous::Full,
            busy_timeout: Duration::from_secs(10),
            file_bytes_max: None,
            is_shared: false,
            is_frozen: false,
        }
    }
}

/// A store in one SQLite file.
///
/// Dropping it waits for the writes that were begun, then gives the lease back to whoever asks next.
pub struct SqliteStore {
    path: PathBuf,
    // Dropped in this order: the writer closes the file last, so that it can tidy the log away, and before the lease is given up.
    readers: Readers,
    writer: Option<Writer>,
    ids: Mutex<IdBlock>,
    held: Mutex<Option<HeldLock>>,
}

impl SqliteStore {
    /// Opens the store at `path`; blocks for a moment, as all file access does.
    /// # Errors
    /// `Missing`: nothing is there and the mode is not `Create`. `NewerSchema`: it was written by a newer program. `Corrupt`: it is not a
    /// store. `UnsafeLibrary`: SQLite is older than 3.51.3. `ReadOnly`: it cannot be read without writing beside it.
    pub fn open(path: &Path, mut options: SqliteOptions) -> Result<Self, Error> {
        check_library(rusqlite::version_number())?;
        if options.mode != OpenMode::Create && !path.exists() {
            return Err(Error::new(ErrorKind::Missing, format!("there is no store at {}", path.display())));
        }
        let writer = if options.mode == OpenMode::ReadOnly {
            match reading::schema_of(path, &mut options)? {
                0 => return Err(Error::new(ErrorKind::Missing, "there is no store in the file")),
                schema::SCHEMA_VERSION => {}
                _ => return Err(Error::new(ErrorKind::Missing, "the store has an older schema: open it once for writing")),
            }
            None
        } else {
            let mut connected = Connected::writer(path, &options)?;
            schema::migrate(&mut connected, options.mode, options.is_shared)?;
            Some(Writer::begin(connected)?)
        };
        Ok(Self {
            path: path.to_owned(),
            readers: Readers::new(path.to_owned(), options),
            writer,
            ids: Mutex::new(IdBlock::default()),
            held: Mutex::new(None),
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn write_call<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnMut(&mut Connected) -> Result<T, Error> + Send + 'static,
    {
        match &self.writer {
            Some(writer) => writer.call(work).await,
            None => Err(Error::new(ErrorKind::ReadOnly, "the store was opened for reading only")),
        }
    }
}

fn check_library(version: i32) -> Result<(), Error> {
    if version >= SQLITE_VERSION_MIN {
        return Ok(());
    }
    let context = format!("SQLite {version} can lose data (its WAL reset fault); {SQLITE_VERSION_MIN} or newer is needed");
    Err(Error::new(ErrorKind::UnsafeLibrary, context))
}

/// The error of the store for one of SQLite.
fn failure(error: rusqlite::Error, context: impl Into<String>) -> Error {
    use rusqlite::ErrorCode;
    let kind = match &error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => ErrorKind::Busy,
            ErrorCode::DiskFull => ErrorKind::DiskFull,
            ErrorCode::ReadOnly => ErrorKind::ReadOnly,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => ErrorKind::Corrupt,
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied => ErrorKind::Missing,
            ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch => ErrorKind::Invalid,
            // A write that the file system refused for want of space is answered so by some of them.
            ErrorCode::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_WRITE => ErrorKind::DiskFull,
            _ => ErrorKind::Unavailable,
        },
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::QueryReturnedNoRows => ErrorKind::Corrupt,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, context).caused_by(error)
}

#[async_trait]
impl Store for SqliteStore {
    async fn identity(&self) -> Result<StoreIdentity, Error> {
        self.readers.call(identity::identity).await
    }

    async fn clock(&self) -> Result<ClockSetting, Error> {
        self.readers.call(identity::clock).await
    }

    async fn set_clock(&self, setting: ClockSetting) -> Result<(), Error> {
        self.write_call(move |connected| identity::set_clock(connected, setting)).await
    }

    async fn put_definition(&self, definition: StoredDefinition) -> Result<bool, Error> {
        self.write_call(move |connected| definition::put(connected, &definition)).await
    }

    async fn definitions(&self) -> Result<Vec<StoredDefinition>, Error> {
        self.readers.call(definition::list).await
    }

    async fn accept(&self, wishes: Vec<NewWish>, now: Timestamp) -> Result<Vec<Acceptance>, Error> {
        check_wishes(&wishes)?;
        self.write_call(move |connected| inbox::accept(connected, &wishes, now)).await
    }

    fn statement(&self, wish: &NewWish, now: Timestamp) -> Result<Statement, Error> {
        check_wishes(std::slice::from_ref(wish))?;
        Ok(inbox::statement(wish, now))
    }

    async fn wishes(&self, lease: Option<&Lease>, ready_at: Timestamp, limit: usize) -> Result<Vec<InboxEntry>, Error> {
        check_count(limit)?;
        if lease.is_some_and(|lease| lease.epoch(lease::SHARD).is_none()) {
            return Ok(Vec::new());
        }
        self.readers.call(move |connected| inbox::list(connected, ready_at, limit)).await
    }

    async fn wishes_of(&self, entity: &EntityKey) -> Result<Vec<InboxEntry>, Error> {
        let entity = entity.clone();
        self.readers.call(move |connected| inbox::of_entity(connected, &entity)).await
    }

    async fn reserve_ids(&self, count: usize) -> Result<Range<i64>, Error> {
        check_count(count)?;
        if let Some(ids) = self.ids().take(count) {
            return Ok(ids);
        }
        let block = self.write_call(move |connected| identity::reserve(connected, count)).await?;
        Ok(self.ids().renew(block, count))
    }

    async fn snapshots(&self, entities: &[EntityKey]) -> Result<Vec<EntitySnapshot>, Error> {
        check_batch(entities.len())?;
        let entities = entities.to_vec();
        self.readers.call(move |connected| snapshot::snapshots(connected, &entities)).await
    }

    async fn write(&self, lease: Option<&Lease>, changes: Vec<ChangeSet>, now: Timestamp) -> Result<Vec<Written>, Error> {
        check_batch(changes.len())?;
        let lease = lease.cloned();
        self.write_call(move |connected| write::write(connected, lease.as_ref(), &changes, now)).await
    }

    async fn beat(&self, beat: &Beat) -> Result<Ownership, Error> {
        self.beat_of_node(beat).await
    }

    async fn ownership(&self) -> Result<Ownership, Error> {
        self.ownership_of_file().await
    }

    async fn take(&self, node: &str, seen: &[OwnedShard]) -> Result<Vec<OwnedShard>, Error> {
        self.take_shard(node, seen).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), Error> {
        self.release_shard(lease).await
    }

    async fn forget(&self, node: &str, beat: i64) -> Result<bool, Error> {
        self.forget_node(node, beat).await
    }

    async fn due_soon(
        &self,
        lease: &Lease,
        until: Timestamp,
        after: Option<(Timestamp, TaskId)>,
        limit: usize,
    ) -> Result<Vec<(Timestamp, TaskId)>, Error> {
        check_count(limit)?;
        let lease = lease.clone();
        let reading = self.readers.call(move |connected| start::due_soon(connected, &lease, (after, until), limit));
        reading.await
    }

    async fn start_except(&self, lease: &Lease, request: StartRequest, except: &[(Name, Name)]) -> Result<Vec<Task>, Error> {
        check_start(&request)?;
        let lease = lease.clone();
        let except = serde_json::json!(step_names(except)).to_string();
        self.write_call(move |connected| start::start(connected, (&lease, &except), &request)).await
    }

    async fn attempts_to_stop(&self, attempts: &[(TaskId, Fence)]) -> Result<Vec<TaskId>, Error> {
        check_batch(attempts.len())?;
        let attempts = attempts.to_vec();
        self.readers.call(move |connected| start::attempts_to_stop(connected, &attempts)).await
    }

    async fn orphans(&self, lease: &Lease, limit: usize) -> Result<Vec<Task>, Error> {
        check_count(limit)?;
        let lease = lease.clone();
        self.readers.call(move |connected| start::orphans(connected, &lease, limit)).await
    }

    async fn overdue_answers(&self, lease: &Lease, now: Timestamp, limit: usize) -> Result<Vec<Task>, Error> {
        check_count(limit)?;
        let lease = lease.clone();
        self.readers.call(move |connected| start::overdue_answers(connected, &lease, now, limit)).await
    }

    async fn upcoming(&self, filter: &UpcomingFilter, page: PageRequest) -> Result<Page<Task>, Error> {
        check_count(page.limit)?;
        let filter = filter.clone();
        self.readers.call(move |connected| upcoming::upcoming(connected, &filter, &page)).await
    }

    async fn history(&self, filter: &HistoryFilter, page: PageRequest) -> Result<Page<HistoryRow>, Error> {
        check_count(page.limit)?;
        let filter = filter.clone();
        self.readers.call(move |connected| history::history(connected, &filter, &page)).await
    }

    async fn task(&self, id: TaskId) -> Result<Option<TaskView>, Error> {
        self.readers.call(move |connected| task::task(connected, id)).await
    }

    async fn counts(&self, filter: &CountsFilter) -> Result<Vec<Count>, Error> {
        let filter = filter.clone();
        self.readers.call(move |connected| counter::counts(connected, &filter)).await
    }

    async fn totals(&self) -> Result<Totals, Error> {
        self.readers.call(counter::totals).await
    }

    async fn entities(&self, filter: &EntityFilter, page: PageRequest) -> Result<Page<EntitySummary>, Error> {
        check_count(page.limit)?;
        let filter = filter.clone();
        self.readers.call(move |connected| entity::list(connected, &filter, &page)).await
    }

    async fn erase(&self, entity: &EntityKey, now: Timestamp) -> Result<bool, Error> {
        let entity = entity.clone();
        self.write_call(move |connected| erase::erase(connected, &entity, now)).await
    }

    async fn due_erasures(&self, lease: Option<&Lease>, now: Timestamp, limit: usize) -> Result<Vec<EntityKey>, Error> {
        check_count(limit)?;
        if lease.is_some_and(|lease| lease.epoch(lease::SHARD).is_none()) {
            return Ok(Vec::new());
        }
        self.readers.call(move |connected| erase::due(connected, now, limit)).await
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, Error> {
        check_count(limit)?;
        self.write_call(move |connected| erase::prune(connected, before, limit)).await
    }
}

#[cfg(test)]
mod tests {
    //! Goal: an unsafe library is refused. Method: the version that is compared, and the one that is built in.
    use super::*;

    #[test]
    fn sqlite_with_the_log_reset_fault_is_refused() {
        assert_eq!(check_library(3_051_002).unwrap_err().kind(), &ErrorKind::UnsafeLibrary);
        assert!(check_library(3_051_003).is_ok());
        assert!(check_library(rusqlite::version_number()).is_ok());
    }
}
