//! The way of a machine to a store: time waits for what the store is at, a call goes on while its machine is frozen, and the way can be cut.
//! The clock is the machine's.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use hence_core::name::{EntityKey, Fence, Name, TaskId};
use hence_core::task::Task;
use hence_core::timeline::{ChangeSet, EntitySnapshot};
use hence_store::port::{
    Acceptance, Beat, ClockSetting, Count, CountsFilter, EntityFilter, EntitySummary, HistoryFilter, HistoryRow, InboxEntry,
    Lease, NewWish, OwnedShard, Ownership, Page, PageRequest, StartRequest, StoreIdentity, StoredDefinition, TaskView, Totals,
    UpcomingFilter, Written,
};
use hence_store::{Error, ErrorKind, Store};
use jiff::Timestamp;

use super::machine::Machine;

/// A store as a machine reaches it.
pub(super) struct Wire {
    pub(super) machine: Machine,
    pub(super) store: Arc<dyn Store>,
}

type Doing<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

impl Wire {
    async fn call<T: Send + 'static>(&self, work: impl FnOnce(Arc<dyn Store>) -> Doing<T> + Send) -> Result<T, Error> {
        if self.machine.is_cut.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the way to the store is cut"));
        }
        let (doing, calling) = (work(Arc::clone(&self.store)), self.machine.calling());
        let whole = tokio::spawn(async move {
            let done = doing.await;
            drop(calling);
            done
        });
        whole.await.unwrap()
    }
}

macro_rules! call {
    ($self:ident.$name:ident($($argument:expr),*)) => {
        $self.call(move |store| Box::pin(async move { store.$name($($argument),*).await })).await
    };
}

#[async_trait]
impl Store for Wire {
    async fn identity(&self) -> Result<StoreIdentity, Error> {
        call!(self.identity())
    }

    async fn clock(&self) -> Result<ClockSetting, Error> {
        call!(self.clock()).map(|_| ClockSetting::System)
    }

    async fn set_clock(&self, setting: ClockSetting) -> Result<(), Error> {
        call!(self.set_clock(setting))
    }

    async fn put_definition(&self, definition: StoredDefinition) -> Result<bool, Error> {
        call!(self.put_definition(definition))
    }

    async fn definitions(&self) -> Result<Vec<StoredDefinition>, Error> {
        call!(self.definitions())
    }

    async fn accept(&self, wishes: Vec<NewWish>, now: Timestamp) -> Result<Vec<Acceptance>, Error> {
        call!(self.accept(wishes, now))
    }

    async fn wishes(&self, lease: Option<&Lease>, ready_at: Timestamp, limit: usize) -> Result<Vec<InboxEntry>, Error> {
        let lease = lease.cloned();
        call!(self.wishes(lease.as_ref(), ready_at, limit))
    }

    async fn wishes_of(&self, entity: &EntityKey) -> Result<Vec<InboxEntry>, Error> {
        let entity = entity.clone();
        call!(self.wishes_of(&entity))
    }

    async fn reserve_ids(&self, count: usize) -> Result<Range<i64>, Error> {
        call!(self.reserve_ids(count))
    }

    async fn snapshots(&self, entities: &[EntityKey]) -> Result<Vec<EntitySnapshot>, Error> {
        let entities = entities.to_vec();
        call!(self.snapshots(&entities))
    }

    async fn write(&self, lease: Option<&Lease>, changes: Vec<ChangeSet>, now: Timestamp) -> Result<Vec<Written>, Error> {
        let lease = lease.cloned();
        call!(self.write(lease.as_ref(), changes, now))
    }

    async fn beat(&self, beat: &Beat) -> Result<Ownership, Error> {
        let beat = beat.clone();
        call!(self.beat(&beat))
    }

    async fn ownership(&self) -> Result<Ownership, Error> {
        call!(self.ownership())
    }

    async fn take(&self, node: &str, seen: &[OwnedShard]) -> Result<Vec<OwnedShard>, Error> {
        let (node, seen) = (node.to_owned(), seen.to_vec());
        call!(self.take(&node, &seen))
    }

    async fn release(&self, lease: &Lease) -> Result<(), Error> {
        let lease = lease.clone();
        call!(self.release(&lease))
    }

    async fn forget(&self, node: &str, beat: i64) -> Result<bool, Error> {
        let node = node.to_owned();
        call!(self.forget(&node, beat))
    }

    async fn due_soon(
        &self,
        lease: &Lease,
        until: Timestamp,
        after: Option<(Timestamp, TaskId)>,
        limit: usize,
    ) -> Result<Vec<(Timestamp, TaskId)>, Error> {
        let lease = lease.clone();
        call!(self.due_soon(&lease, until, after, limit))
    }

    async fn start_except(&self, lease: &Lease, request: StartRequest, except: &[(Name, Name)]) -> Result<Vec<Task>, Error> {
        let (lease, except) = (lease.clone(), except.to_vec());
        call!(self.start_except(&lease, request, &except))
    }

    async fn attempts_to_stop(&self, attempts: &[(TaskId, Fence)]) -> Result<Vec<TaskId>, Error> {
        let attempts = attempts.to_vec();
        call!(self.attempts_to_stop(&attempts))
    }

    async fn orphans(&self, lease: &Lease, limit: usize) -> Result<Vec<Task>, Error> {
        let lease = lease.clone();
        call!(self.orphans(&lease, limit))
    }

    async fn overdue_answers(&self, lease: &Lease, now: Timestamp, limit: usize) -> Result<Vec<Task>, Error> {
        let lease = lease.clone();
        call!(self.overdue_answers(&lease, now, limit))
    }

    async fn upcoming(&self, filter: &UpcomingFilter, page: PageRequest) -> Result<Page<Task>, Error> {
        let filter = filter.clone();
        call!(self.upcoming(&filter, page))
    }

    async fn history(&self, filter: &HistoryFilter, page: PageRequest) -> Result<Page<HistoryRow>, Error> {
        let filter = filter.clone();
        call!(self.history(&filter, page))
    }

    async fn task(&self, id: TaskId) -> Result<Option<TaskView>, Error> {
        call!(self.task(id))
    }

    async fn counts(&self, filter: &CountsFilter) -> Result<Vec<Count>, Error> {
        let filter = filter.clone();
        call!(self.counts(&filter))
    }

    async fn totals(&self) -> Result<Totals, Error> {
        call!(self.totals())
    }

    async fn entities(&self, filter: &EntityFilter, page: PageRequest) -> Result<Page<EntitySummary>, Error> {
        let filter = filter.clone();
        call!(self.entities(&filter, page))
    }

    async fn erase(&self, entity: &EntityKey, now: Timestamp) -> Result<bool, Error> {
        let entity = entity.clone();
        call!(self.erase(&entity, now))
    }

    async fn due_erasures(&self, lease: Option<&Lease>, now: Timestamp, limit: usize) -> Result<Vec<EntityKey>, Error> {
        let lease = lease.cloned();
        call!(self.due_erasures(lease.as_ref(), now, limit))
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, Error> {
        call!(self.prune(before, limit))
    }
}
