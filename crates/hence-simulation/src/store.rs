//! The store model: the memory store behind a network and a disk that fail.
//!
//! A call can be slow on its way and on its way back, be refused before anything was done, or be carried out while its answer is lost.
//! What is on its way is carried out also when its sender dies. Every commit is judged by the ledger at the instant it is made.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hence_core::name::{EntityKey, Fence, Name, TaskId};
use hence_core::task::Task;
use hence_core::timeline::{ChangeSet, EntitySnapshot};
use hence_store::port::{
    Acceptance, Beat, ClockSetting, Count, CountsFilter, EntityFilter, EntitySummary, HistoryFilter, HistoryRow, InboxEntry,
    Lease, Life, NewWish, OwnedShard, Ownership, Page, PageRequest, StartRequest, StoreIdentity, StoredDefinition, TaskView,
    Totals, UpcomingFilter, Written,
};
use hence_store::{Error, ErrorKind, MemoryStore, Store};
use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::executor::{OUTSIDE, Process};
use crate::world::World;

/// The store as one process sees it.
pub(crate) struct FaultyStore {
    world: Arc<World>,
    process: Process,
    inner: Arc<MemoryStore>,
}

/// What happens to one call.
enum Fate {
    /// It is carried out at once.
    Plain,
    /// It is carried out after a while, and its answer takes a while.
    Slow(Duration, Duration),
    /// Nothing is done.
    Refused(ErrorKind),
    /// It is carried out after a while, or not at all, and no answer comes.
    Lost(Duration, bool),
}

type Doing<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

impl FaultyStore {
    /// The store for a process that begins.
    pub(crate) fn new(world: Arc<World>, process: Process, store: &MemoryStore) -> Self {
        Self { world, process, inner: Arc::new(store.another()) }
    }

    fn fate(&self) -> Fate {
        let swarm = self.world.with(|state| (state.swarm.slow, state.swarm.refused, state.swarm.lost));
        let ((slow, slow_max), refused, lost) = swarm;
        if self.world.strikes(refused) {
            let kinds = [ErrorKind::Busy, ErrorKind::DiskFull];
            return Fate::Refused(self.world.with(|state| kinds[state.dice.usize(..kinds.len())].clone()));
        }
        if self.world.strikes(lost) {
            let is_done = self.world.with(|state| state.dice.bool());
            return Fate::Lost(self.world.span(slow_max), is_done);
        }
        if self.world.strikes(slow) {
            return Fate::Slow(self.world.span(slow_max), self.world.span(slow_max));
        }
        Fate::Plain
    }

    /// What a store that knows nothing of lives would say.
    fn as_known(&self, mut seen: Ownership) -> Ownership {
        if !self.world.with(|state| state.swarm.knows_lives) {
            seen.nodes.iter_mut().for_each(|row| row.life = Life::Unknown);
        }
        seen
    }

    async fn call<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce(Arc<MemoryStore>, Arc<World>) -> Doing<T> + Send,
    ) -> Result<T, Error> {
        let (world, process) = (Arc::clone(&self.world), self.process.0);
        let doing = work(Arc::clone(&self.inner), Arc::clone(&world));
        match self.fate() {
            Fate::Plain => doing.await,
            Fate::Slow(before, after) => {
                let (answer, answered) = oneshot::channel();
                let clock = world.executor.clone();
                let way = async move {
                    clock.wait(before).await;
                    let done = doing.await;
                    clock.wait(after).await;
                    // Its sender may be gone.
                    let _ = answer.send(done);
                };
                world.executor.begin(OUTSIDE, Box::pin(way));
                answered.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Unavailable, "the store went away")))
            }
            Fate::Refused(kind) => {
                world.note(&format!("p{process} {name}: refused, {kind:?}"));
                Err(Error::new(kind, format!("{name} was refused")))
            }
            Fate::Lost(after, is_done) => {
                world.note(&format!("p{process} {name}: no answer, {}", if is_done { "done" } else { "not done" }));
                let clock = world.executor.clone();
                if is_done {
                    let way = async move {
                        clock.wait(after).await;
                        // Nobody hears how it ended.
                        let _ = doing.await;
                    };
                    world.executor.begin(OUTSIDE, Box::pin(way));
                }
                world.executor.wait(after).await;
                Err(Error::new(ErrorKind::Unavailable, format!("no answer to {name}")))
            }
        }
    }
}

/// Hands a call on: `call!(self, name(cloned, …))`; what stands after `=>` is done with the answer at the instant of the commit.
macro_rules! call {
    ($self:ident, $name:ident($($argument:expr),*)) => {
        $self.call(stringify!($name), move |store, _| Box::pin(async move { store.$name($($argument),*).await })).await
    };
    ($self:ident, $name:ident($($argument:expr),*) => |$world:ident, $answer:ident| $seen:expr) => {
        $self.call(stringify!($name), move |store, $world| Box::pin(async move {
            let $answer = store.$name($($argument),*).await?;
            $seen;
            Ok($answer)
        })).await
    };
}

#[async_trait]
impl Store for FaultyStore {
    async fn identity(&self) -> Result<StoreIdentity, Error> {
        call!(self, identity())
    }

    async fn clock(&self) -> Result<ClockSetting, Error> {
        call!(self, clock())
    }

    async fn set_clock(&self, setting: ClockSetting) -> Result<(), Error> {
        call!(self, set_clock(setting))
    }

    async fn put_definition(&self, definition: StoredDefinition) -> Result<bool, Error> {
        call!(self, put_definition(definition))
    }

    async fn definitions(&self) -> Result<Vec<StoredDefinition>, Error> {
        call!(self, definitions())
    }

    async fn accept(&self, wishes: Vec<NewWish>, now: Timestamp) -> Result<Vec<Acceptance>, Error> {
        let told = wishes.clone();
        call!(self, accept(wishes, now) => |world, answer| {
            world.observe(|ledger, moment, trace| ledger.accepted(moment, &told, &answer, trace));
        })
    }

    async fn wishes(&self, lease: Option<&Lease>, ready_at: Timestamp, limit: usize) -> Result<Vec<InboxEntry>, Error> {
        let lease = lease.cloned();
        call!(self, wishes(lease.as_ref(), ready_at, limit))
    }

    async fn wishes_of(&self, entity: &EntityKey) -> Result<Vec<InboxEntry>, Error> {
        let entity = entity.clone();
        call!(self, wishes_of(&entity))
    }

    async fn reserve_ids(&self, count: usize) -> Result<Range<i64>, Error> {
        call!(self, reserve_ids(count))
    }

    async fn snapshots(&self, entities: &[EntityKey]) -> Result<Vec<EntitySnapshot>, Error> {
        let entities = entities.to_vec();
        call!(self, snapshots(&entities))
    }

    async fn write(&self, lease: Option<&Lease>, changes: Vec<ChangeSet>, now: Timestamp) -> Result<Vec<Written>, Error> {
        let (lease, sets, process) = (lease.cloned(), changes.clone(), self.process);
        call!(self, write(lease.as_ref(), changes, now) => |world, answer| {
            world.observe(|ledger, moment, trace| ledger.written(moment, process, (&sets, &answer), trace));
        })
    }

    async fn beat(&self, beat: &Beat) -> Result<Ownership, Error> {
        let (beat, process) = (beat.clone(), self.process);
        let seen = call!(self, beat(&beat) => |world, _answer| {
            world.observe(|ledger, moment, _| ledger.beaten(moment, process, &beat.node));
        });
        seen.map(|seen| self.as_known(seen))
    }

    async fn ownership(&self) -> Result<Ownership, Error> {
        call!(self, ownership()).map(|seen| self.as_known(seen))
    }

    async fn take(&self, node: &str, seen: &[OwnedShard]) -> Result<Vec<OwnedShard>, Error> {
        let (node, seen, process) = (node.to_owned(), seen.to_vec(), self.process);
        call!(self, take(&node, &seen) => |world, answer| {
            world.observe(|ledger, moment, trace| ledger.taken(moment, process, &answer, trace));
        })
    }

    async fn forget(&self, node: &str, beat: i64) -> Result<bool, Error> {
        let (node, process) = (node.to_owned(), self.process);
        self.call("forget", move |store, world| {
            Box::pin(async move {
                let knows_lives = world.with(|state| state.swarm.knows_lives);
                let seen = store.ownership().await?;
                let is_known_dead = knows_lives && seen.node(&node).is_some_and(|row| row.life == Life::Gone);
                let is_forgotten = store.forget(&node, beat).await?;
                if is_forgotten {
                    world.observe(|ledger, moment, trace| ledger.forgotten(moment, process, (&node, is_known_dead), trace));
                }
                Ok(is_forgotten)
            })
        })
        .await
    }

    async fn release(&self, lease: &Lease) -> Result<(), Error> {
        let (lease, process) = (lease.clone(), self.process);
        call!(self, release(&lease) => |world, _answer| {
            world.observe(|ledger, moment, trace| ledger.released(moment, process, &lease, trace));
        })
    }

    async fn due_soon(
        &self,
        lease: &Lease,
        until: Timestamp,
        after: Option<(Timestamp, TaskId)>,
        limit: usize,
    ) -> Result<Vec<(Timestamp, TaskId)>, Error> {
        let lease = lease.clone();
        call!(self, due_soon(&lease, until, after, limit))
    }

    async fn start_except(&self, lease: &Lease, request: StartRequest, except: &[(Name, Name)]) -> Result<Vec<Task>, Error> {
        let (lease, except, process) = (lease.clone(), except.to_vec(), self.process);
        call!(self, start_except(&lease, request, &except) => |world, answer| {
            world.observe(|ledger, moment, trace| ledger.started(moment, process, (&request, &answer), trace));
        })
    }

    async fn attempts_to_stop(&self, attempts: &[(TaskId, Fence)]) -> Result<Vec<TaskId>, Error> {
        let attempts = attempts.to_vec();
        call!(self, attempts_to_stop(&attempts))
    }

    async fn orphans(&self, lease: &Lease, limit: usize) -> Result<Vec<Task>, Error> {
        let lease = lease.clone();
        call!(self, orphans(&lease, limit))
    }

    async fn overdue_answers(&self, lease: &Lease, now: Timestamp, limit: usize) -> Result<Vec<Task>, Error> {
        let lease = lease.clone();
        call!(self, overdue_answers(&lease, now, limit))
    }

    async fn upcoming(&self, filter: &UpcomingFilter, page: PageRequest) -> Result<Page<Task>, Error> {
        let filter = filter.clone();
        call!(self, upcoming(&filter, page))
    }

    async fn history(&self, filter: &HistoryFilter, page: PageRequest) -> Result<Page<HistoryRow>, Error> {
        let filter = filter.clone();
        call!(self, history(&filter, page))
    }

    async fn task(&self, id: TaskId) -> Result<Option<TaskView>, Error> {
        call!(self, task(id))
    }

    async fn counts(&self, filter: &CountsFilter) -> Result<Vec<Count>, Error> {
        let filter = filter.clone();
        call!(self, counts(&filter))
    }

    async fn totals(&self) -> Result<Totals, Error> {
        call!(self, totals())
    }

    async fn entities(&self, filter: &EntityFilter, page: PageRequest) -> Result<Page<EntitySummary>, Error> {
        let filter = filter.clone();
        call!(self, entities(&filter, page))
    }

    async fn erase(&self, entity: &EntityKey, now: Timestamp) -> Result<bool, Error> {
        let entity = entity.clone();
        call!(self, erase(&entity, now) => |world, answer| {
            if answer {
                world.observe(|ledger, moment, trace| ledger.erased(moment, &entity, trace));
            }
        })
    }

    async fn due_erasures(&self, lease: Option<&Lease>, now: Timestamp, limit: usize) -> Result<Vec<EntityKey>, Error> {
        let lease = lease.cloned();
        call!(self, due_erasures(lease.as_ref(), now, limit))
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, Error> {
        call!(self, prune(before, limit))
    }
}
