//! The keeper: performs what `ownership` says, apart from everything else that the engine does.
//!
//! Owns the node's beats, and what it owns at this moment for those who start and deliver. It runs on a thread and a runtime of its
//! own (`Host::spawn_apart`), so that neither handlers that never yield nor a busy pool keep it from renewing (F6, F7); its calls are
//! the five of the port that a store gives a way of their own. Leaves to others: every decision (`ownership`, `watchdog`).
//! Invariants: one call at a time; what the engine may use is told before the call that gives it back is made.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hence_core::sabotage::{Bug, is_planted};
use hence_core::shard::Shard;
use hence_store::Store;
use hence_store::port::{Beat, Lease, OwnedShard};
use tokio::sync::Notify;

use crate::host::{Host, Spawned};
use crate::ownership::{Action, Event, Holding, Owner, Permit};
use crate::watchdog::{Health, Watchdog};

/// What a node says of itself while its engine takes no step.
const STALLED: &str = "makes no progress";

/// What an engine shares with its keeper.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    /// Ends with the engine; a keeper that was not asked to stop leaves nothing in order, as after a crash.
    _work: Spawned,
}

/// The part of it that attempts hold too.
#[derive(Clone)]
pub(crate) struct Permits(Arc<Shared>);

struct Shared {
    node: String,
    host: Arc<dyn Host>,
    store: Arc<dyn Store>,
    state: Mutex<State>,
    /// Counts up with every step of the engine.
    progress: AtomicU64,
    /// Something changed for the engine: what is owned, or that the node has left.
    changed: Notify,
    /// The same for attempts that wait for a renewal; all of them wake.
    renewed: Notify,
    /// Something changed for the keeper.
    wake: Notify,
    abort_when_stuck: bool,
    readiness: Readiness,
}

/// Whether an engine takes part: it has beaten, and it moves. For those who ask whether a process is ready.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Whether it does now.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
struct State {
    holding: Holding,
    /// What the engine may be starting in at this moment.
    in_pass: BTreeSet<Shard>,
    /// Attempts, and ends that are not written yet, by shard.
    under_way: BTreeMap<Shard, usize>,
    is_stop_asked: bool,
    has_left: bool,
    notice: Option<String>,
    is_stalled: bool,
}

/// What a keeper is told besides.
pub(crate) struct KeeperOptions {
    pub(crate) abort_when_stuck: bool,
    pub(crate) readiness: Readiness,
}

impl Keeper {
    /// Begins to keep what `owner` comes to own.
    pub(crate) fn begin(host: &Arc<dyn Host>, store: &Arc<dyn Store>, owner: Owner, options: KeeperOptions) -> Self {
        let shared = Arc::new(Shared {
            node: owner.node().to_owned(),
            host: Arc::clone(host),
            store: Arc::clone(store),
            state: Mutex::default(),
            progress: AtomicU64::new(0),
            changed: Notify::new(),
            renewed: Notify::new(),
            wake: Notify::new(),
            abort_when_stuck: options.abort_when_stuck,
            readiness: options.readiness,
        });
        let work = Box::pin(keep(Arc::clone(&shared), owner));
        Self { shared, _work: host.spawn_apart("hence-leases", work) }
    }

    /// Where attempts ask.
    pub(crate) fn permits(&self) -> Permits {
        Permits(Arc::clone(&self.shared))
    }

    /// What may be started in now. Until [`Keeper::end_pass`] nothing of it is given back.
    pub(crate) fn begin_pass(&self) -> Lease {
        self.step();
        let now = self.shared.host.elapsed();
        let mut state = self.shared.state();
        let lease = state.holding.lease(now, &self.shared.node);
        state.in_pass = lease.shards.iter().map(|owned| owned.shard).collect();
        lease
    }

    /// The engine starts nothing more under the lease of this pass.
    pub(crate) fn end_pass(&self) {
        self.step();
        self.shared.state().in_pass.clear();
        self.shared.wake_if_draining();
    }

    /// The engine moves on.
    pub(crate) fn step(&self) {
        self.shared.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// All that is owned, for writing.
    pub(crate) fn all(&self) -> Lease {
        self.shared.state().holding.all(&self.shared.node)
    }

    /// Something is under way in that shard.
    pub(crate) fn began(&self, shard: Shard) {
        *self.shared.state().under_way.entry(shard).or_default() += 1;
    }

    /// It has ended, and its end is written or is not this node's to write.
    pub(crate) fn ended(&self, shard: Shard) {
        let mut state = self.shared.state();
        if let Some(count) = state.under_way.get_mut(&shard) {
            *count = count.saturating_sub(1);
        }
        state.under_way.retain(|_, count| *count > 0);
        drop(state);
        self.shared.wake_if_draining();
    }

    /// What people should know of this node; said with the next beat.
    pub(crate) fn note(&self, notice: Option<String>) {
        self.shared.state().notice = notice;
    }

    /// Gives everything back, each shard once nothing is under way in it, and leaves.
    pub(crate) fn ask_stop(&self) {
        self.shared.state().is_stop_asked = true;
        self.shared.wake.notify_one();
    }

    /// Whether the node has left.
    pub(crate) fn has_left(&self) -> bool {
        self.shared.state().has_left
    }

    /// Ends when something has changed since it ended last.
    pub(crate) async fn changed(&self) {
        self.shared.changed.notified().await;
    }
}

impl Permits {
    /// Whether that shard is still owned under that epoch, or may be.
    pub(crate) fn is_owned(&self, owned: OwnedShard) -> bool {
        self.0.state().holding.permit(self.0.host.elapsed(), owned) != Permit::Never
    }

    /// Whether a side effect under that epoch may begin now. Waits while the last renewal is too old: the next one decides (F5).
    pub(crate) async fn wait_for(&self, owned: OwnedShard) -> bool {
        loop {
            let mut renewed = std::pin::pin!(self.0.renewed.notified());
            // Before looking, so that a renewal in between is not missed.
            renewed.as_mut().enable();
            let permit = self.0.state().holding.permit(self.0.host.elapsed(), owned);
            match permit {
                Permit::Now => return true,
                Permit::Never => return false,
                Permit::NotYet => renewed.await,
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while this is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_if_draining(&self) {
        if self.state().holding.shards.values().any(|held| held.draining_since.is_some()) {
            self.wake.notify_one();
        }
    }

    /// Tells what is owned now to all who use it.
    fn publish(&self, holding: &Holding) {
        let mut state = self.state();
        if state.holding == *holding {
            return;
        }
        let is_other = state.holding.shards != holding.shards;
        state.holding.clone_from(holding);
        drop(state);
        self.renewed.notify_waiters();
        if is_other {
            self.changed.notify_one();
        }
    }

    /// Notes what the watchdog says.
    fn watched(&self, health: Health, holding: &Holding) {
        let is_stalled = health != Health::Ready;
        let was_stalled = std::mem::replace(&mut self.state().is_stalled, is_stalled);
        if is_stalled != was_stalled {
            tracing::warn!(node = self.node, is_stalled, "the engine's progress");
        }
        let has_beaten = !holding.until.is_zero();
        self.readiness.0.store(has_beaten && !is_stalled && !self.state().has_left, Ordering::Relaxed);
    }

    fn busy(&self) -> BTreeSet<Shard> {
        let state = self.state();
        if is_planted(Bug::F4) && state.is_stop_asked {
            return BTreeSet::new();
        }
        state.in_pass.iter().chain(state.under_way.keys()).copied().collect()
    }

    async fn perform(&self, action: Action) -> Event {
        let store = &self.store;
        let done = match action {
            Action::Beat { number, is_leaving } => {
                let notice = if self.state().is_stalled { Some(STALLED.to_owned()) } else { self.state().notice.clone() };
                let beat = Beat { node: self.node.clone(), number, at: self.host.wall(), is_leaving, notice };
                let sent = self.host.elapsed();
                store.beat(&beat).await.map(|seen| Event::Beaten { sent, seen })
            }
            Action::Look => store.ownership().await.map(|seen| Event::Looked { seen }),
            Action::Forget { node, beat } => store.forget(&node, beat).await.map(|is_forgotten| {
                if is_forgotten {
                    tracing::warn!(node, "a node stood still and is taken over");
                }
                Event::Forgotten
            }),
            Action::Take(seen) => store.take(&self.node, &seen).await.map(|shards| Event::Taken { shards }),
            Action::Release(shards) => {
                let lease = Lease { node: self.node.clone(), shards };
                store.release(&lease).await.map(|()| Event::Released)
            }
            Action::Leave { beat } => store.forget(&self.node, beat).await.map(|_| Event::Left),
            Action::Wait { .. } | Action::Stop => Ok(Event::Left),
        };
        done.unwrap_or_else(|error| {
            tracing::warn!(%error, "who owns what cannot be told to the store or read from it");
            Event::Failed
        })
    }
}

async fn keep(shared: Arc<Shared>, mut owner: Owner) {
    let mut watchdog = Watchdog::default();
    let (mut is_stop_told, mut is_told) = (false, false);
    loop {
        let now = shared.host.elapsed();
        let health = watchdog.woke(now, shared.progress.load(Ordering::Relaxed));
        shared.watched(health, owner.holding());
        if health == Health::Stuck {
            tracing::error!(
                node = shared.node,
                "the engine makes no progress; this node renews nothing more, so that others take over"
            );
            if shared.abort_when_stuck {
                std::process::abort();
            }
            shared.state().has_left = true;
            shared.changed.notify_one();
            return;
        }
        if shared.state().is_stop_asked && !is_stop_told {
            is_stop_told = true;
            owner.on_event(now, Event::StopAsked);
            shared.publish(owner.holding());
        }
        let mut actions = VecDeque::from(owner.on_event(now, Event::Woke { busy: shared.busy() }));
        shared.publish(owner.holding());
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Wait { at_most } => {
                    is_told = is_told || tell_stand_by(&owner);
                    tokio::select! {
                        biased;
                        () = shared.wake.notified() => {}
                        () = shared.host.wait(at_most) => {}
                    }
                }
                Action::Stop => {
                    shared.state().has_left = true;
                    shared.readiness.0.store(false, Ordering::Relaxed);
                    shared.changed.notify_one();
                    return;
                }
                action => {
                    let event = shared.perform(action).await;
                    for action in owner.on_event(shared.host.elapsed(), event).into_iter().rev() {
                        actions.push_front(action);
                    }
                    shared.publish(owner.holding());
                }
            }
        }
    }
}

/// Says once whether this node has anything to do; gives whether it was said.
fn tell_stand_by(owner: &Owner) -> bool {
    let holding = owner.holding();
    if holding.until.is_zero() {
        return false;
    }
    match holding.shards.len() {
        0 => tracing::warn!(node = owner.node(), "another engine owns everything; this one stands by"),
        shards => tracing::info!(node = owner.node(), shards, "this node takes part"),
    }
    true
}
