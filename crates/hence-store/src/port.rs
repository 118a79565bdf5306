//! The port: everything the engine and the screens ask of a store, in the engine's words.
//!
//! Owns the trait [`Store`] and the values that cross it (`work` and `lease` for the engine, `view` for people). Every store passes
//! `conformance`. Invariants of all stores:
//! - a call that returns has been made durable; a call that fails with a definite error has changed nothing;
//! - a change of a task is written only if its stored state and fence are those that the caller saw, and a final state never changes;
//! - a start commits before it returns, under a fence higher than every one before it;
//! - a shard has one owner at a time; its epoch is higher than all fences of earlier starts in it and lower than all later ones;
//! - who owns a shard is looked at in the transaction that needs it: what was begun under an outdated epoch changes nothing;
//! - a store with connections keeps one for `beat`, `ownership`, `take`, `release` and `forget`, so that busy work starves no renewal;
//! - tasks, timelines and fences are numbered from rising sequences and no number is given twice;
//! - instants are kept to the microsecond, cut towards 1970;
//! - `now` never goes back in what is stored: an earlier `now` is written as the latest one seen.

mod lease;
mod view;
mod work;

use std::ops::Range;

use async_trait::async_trait;
use hence_core::name::{EntityKey, Fence, Name, TaskId};
use hence_core::task::Task;
use hence_core::timeline::{ChangeSet, EntitySnapshot};
use jiff::Timestamp;

pub use lease::{Beat, Lease, Life, NodeRow, OwnedShard, Ownership, ShardRow};
pub use view::{
    Count, CountOf, CountSpan, CountsFilter, Cursor, EntityFilter, EntitySummary, HistoryFilter, HistoryOrder, HistoryRow, Page,
    PageRequest, Postponed, TaskOrigin, TaskView, Totals, UpcomingFilter,
};
pub use work::{
    Acceptance, ClockSetting, Conflict, InboxEntry, NewWish, StartRequest, Statement, StoreIdentity, StoredDefinition, Written,
};

use crate::error::{Error, ErrorKind};

/// The most change sets, wishes, tasks, rows or ids that one call takes or gives; more is [`crate::ErrorKind::Invalid`].
pub const BATCH_MAX: usize = 10_000;
/// The longest idempotency key in bytes.
pub const KEY_BYTES_MAX: usize = 255;

/// A place where tasks are kept.
///
/// Errors of every method, besides those it names: [`Busy`](crate::ErrorKind::Busy), [`DiskFull`](crate::ErrorKind::DiskFull),
/// [`Corrupt`](crate::ErrorKind::Corrupt), [`ReadOnly`](crate::ErrorKind::ReadOnly), [`Unavailable`](crate::ErrorKind::Unavailable).
#[async_trait]
pub trait Store: Send + Sync {
    /// Who this store is; the same for as long as it exists.
    async fn identity(&self) -> Result<StoreIdentity, Error>;

    /// The clock that all processes on this store follow.
    async fn clock(&self) -> Result<ClockSetting, Error>;

    /// Sets that clock; the last one to set it wins.
    async fn set_clock(&self, setting: ClockSetting) -> Result<(), Error>;

    /// Keeps a definition and makes it the current one of its name; `true` when its hash was not known.
    async fn put_definition(&self, definition: StoredDefinition) -> Result<bool, Error>;

    /// All definitions, by name, the current one of each name last.
    async fn definitions(&self) -> Result<Vec<StoredDefinition>, Error>;

    /// Puts wishes into the inbox, in one transaction; one answer for each, in order.
    ///
    /// A wish with an idempotency key that was accepted within the last 24 hours (at least) is not put again: same wish, same id.
    /// # Errors
    /// `Invalid`: more than [`BATCH_MAX`] wishes, or a key longer than [`KEY_BYTES_MAX`].
    async fn accept(&self, wishes: Vec<NewWish>, now: Timestamp) -> Result<Vec<Acceptance>, Error>;

    /// The statement by which a program accepts this wish within a transaction of its own, on its own connection to the database that the
    /// store lives in: committed and rolled back with it. A key that was used for something else makes it fail.
    /// # Errors
    /// `Invalid`: the store lives in no database that others have transactions in, or the key is too long.
    fn statement(&self, wish: &NewWish, now: Timestamp) -> Result<Statement, Error> {
        let _ = (wish, now);
        Err(Error::new(ErrorKind::Invalid, "this store has no statement for transactions of other programs"))
    }

    /// Up to `limit` wishes of the inbox, oldest first; with `lease` only those about entities of its shards. None about an entity whose
    /// wishes are postponed until after `ready_at`.
    ///
    /// The lease only divides the work: whoever has a wish may carry it out, and of two only one does.
    async fn wishes(&self, lease: Option<&Lease>, ready_at: Timestamp, limit: usize) -> Result<Vec<InboxEntry>, Error>;

    /// All wishes in the inbox about one entity, oldest first, postponed or not.
    async fn wishes_of(&self, entity: &EntityKey) -> Result<Vec<InboxEntry>, Error>;

    /// Numbers for new tasks and timelines, higher than any that this store object gave before and never given twice; unused ones
    /// are lost, which harms nobody.
    /// # Errors
    /// `Invalid`: `count` is zero or over [`BATCH_MAX`].
    async fn reserve_ids(&self, count: usize) -> Result<Range<i64>, Error>;

    /// What is stored of these entities, all at one instant, in order; an unknown entity gives an empty snapshot of version 0.
    async fn snapshots(&self, entities: &[EntityKey]) -> Result<Vec<EntitySnapshot>, Error>;

    /// Writes change sets, each wholly or not at all, in one commit; one answer for each, in order.
    ///
    /// A later change set sees what earlier ones of the same call wrote. History gets `records` first, then those of the transitions.
    /// A transition whose record is `Moved` also replaces the stored reason and action of its task; otherwise these never change.
    /// With `lease`, a change set about an entity whose shard the lease does not own is refused: [`Conflict::FenceLost`].
    async fn write(&self, lease: Option<&Lease>, changes: Vec<ChangeSet>, now: Timestamp) -> Result<Vec<Written>, Error>;

    /// Says that a node lives: counts its beat up, or makes its row with beat 1. Gives who owns what, right after that.
    ///
    /// This is the renewal of all that the node owns, and the answer tells what that is: what it does not list under the node is lost.
    /// Once it has committed, no [`forget`](Self::forget) by an earlier beat succeeds any more.
    async fn beat(&self, beat: &Beat) -> Result<Ownership, Error>;

    /// Who owns what.
    async fn ownership(&self) -> Result<Ownership, Error>;

    /// Takes shards for a node, each only if it is free and still at the epoch that was seen, and gives those that it got, under a new
    /// epoch. Nothing for a node that has no row. A store whose shards only one process can own gives nothing while another does.
    async fn take(&self, node: &str, seen: &[OwnedShard]) -> Result<Vec<OwnedShard>, Error>;

    /// Gives the shards of the lease back, so that others can take them at once. Those that it owns no longer stay as they are.
    async fn release(&self, lease: &Lease) -> Result<(), Error>;

    /// Forgets a node if its beat is still that one, and frees what it owned. `false`, and nothing changed: it has beaten since, is
    /// not known, or is another's and [`Life::Alive`].
    ///
    /// A forgotten node that beats again is a new one and owns nothing.
    async fn forget(&self, node: &str, beat: i64) -> Result<bool, Error>;

    /// Scheduled tasks of the lease's shards that wake until `until` (included), by (wake instant, id), after that key: the look-ahead;
    /// starts nothing. Here and below, a shard that the lease owns no longer gives nothing.
    async fn due_soon(
        &self,
        lease: &Lease,
        until: Timestamp,
        after: Option<(Timestamp, TaskId)>,
        limit: usize,
    ) -> Result<Vec<(Timestamp, TaskId)>, Error>;

    /// Starts due tasks of the lease's shards, earliest first; each is `running` when this returns.
    ///
    /// A task is started only if it is the first of its entity: nothing of that entity is running (a task whose answer is awaited is
    /// running), no scheduled task of it wakes earlier, and no wish about it is in the inbox. Held tasks do not block.
    /// At most one task of each entity, at most `limit` tasks.
    async fn start(&self, lease: &Lease, request: StartRequest) -> Result<Vec<Task>, Error> {
        self.start_except(lease, request, &[]).await
    }

    /// As [`Store::start`], but no tasks of these steps, each named by its timeline and its own name: they wait where they are, so that
    /// the others are served.
    /// # Errors
    /// As [`Store::start`].
    async fn start_except(&self, lease: &Lease, request: StartRequest, except: &[(Name, Name)]) -> Result<Vec<Task>, Error>;

    /// Which of these attempts should end early, in their order: those whose task somebody asked to cancel, and those that are not
    /// under way any more under their fence, such as after an erasure.
    async fn attempts_to_stop(&self, attempts: &[(TaskId, Fence)]) -> Result<Vec<TaskId>, Error>;

    /// Running tasks of the lease's shards whose fence is lower than their shard's epoch and whose answer is not awaited: their node is
    /// gone. By (due instant, id).
    async fn orphans(&self, lease: &Lease, limit: usize) -> Result<Vec<Task>, Error>;

    /// Running tasks of the lease's shards whose awaited answer has not come until `now`. By (wake instant, id).
    async fn overdue_answers(&self, lease: &Lease, now: Timestamp, limit: usize) -> Result<Vec<Task>, Error>;

    /// Tasks that are not final, by (due instant, id).
    async fn upcoming(&self, filter: &UpcomingFilter, page: PageRequest) -> Result<Page<Task>, Error>;

    /// Records, in the order they were written or the other way round.
    async fn history(&self, filter: &HistoryFilter, page: PageRequest) -> Result<Page<HistoryRow>, Error>;

    /// All that is stored of one task, final or not.
    async fn task(&self, id: TaskId) -> Result<Option<TaskView>, Error>;

    /// How many tasks, by hour or day and step, from counters that every write maintains.
    async fn counts(&self, filter: &CountsFilter) -> Result<Vec<Count>, Error>;

    /// How many of everything, from counters.
    async fn totals(&self) -> Result<Totals, Error>;

    /// Known entities, by their written form.
    async fn entities(&self, filter: &EntityFilter, page: PageRequest) -> Result<Page<EntitySummary>, Error>;

    /// Erases one entity: its waiting tasks become `cancelled`, its running ones `unknown`, its timelines end; its wishes, idempotency
    /// keys, facts, given instants, payloads and results go, and so do the personal parts of its reasons. One `Notice` stays as proof.
    /// Its version counts up, so that a plan made before is not written any more. Where the inbox holds a wish to erase it, wishes
    /// behind the last such stay: they were told afterwards.
    ///
    /// `false` when nothing is known of the entity. Erasing twice leaves two notices and changes nothing else.
    async fn erase(&self, entity: &EntityKey, now: Timestamp) -> Result<bool, Error>;

    /// Entities whose erasure is due (see `ChangeSet::erase_at`), earliest first; with `lease` only those of its shards.
    async fn due_erasures(&self, lease: Option<&Lease>, now: Timestamp, limit: usize) -> Result<Vec<EntityKey>, Error>;

    /// Forgets up to `limit` entities that nothing is ahead for and that nothing was written about since `before`: their history,
    /// timelines, tasks and idempotency keys. Gives how many; call again until it gives zero. Counters stay.
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, Error>;
}
