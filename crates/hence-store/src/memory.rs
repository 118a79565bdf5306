//! The memory store: the reference that the others are compared with. Simple and obviously right, not quick; nothing outlives the process.
//!
//! All state stands in one `State` behind a lock that is never held over an `.await`. Clones made with [`MemoryStore::another`] are
//! other processes on the same store: dropping one is the death of the nodes that beat through it.

mod erase;
mod lease;
mod state;
mod view;
mod write;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use hence_core::name::{EntityKey, Fence, Name, TaskId, WishId};
use hence_core::sabotage::{Bug, is_planted};
use hence_core::shard::{SHARDS_MAX, Shard};
use hence_core::task::{Task, TaskEvent, TaskState};
use hence_core::timeline::{ChangeSet, EntitySnapshot};
use hence_core::wish::{StoredWish, write_wish};
use jiff::{SignedDuration, Timestamp};

use crate::error::Error;
use crate::format::cut;
use crate::limits::{KEY_KEPT, check_batch, check_count, check_start, check_wishes};
use crate::port::{
    Acceptance, Beat, ClockSetting, Conflict, Count, CountsFilter, EntityFilter, EntitySummary, HistoryFilter, HistoryRow,
    InboxEntry, Lease, NewWish, OwnedShard, Ownership, Page, PageRequest, StartRequest, Store, StoreIdentity, StoredDefinition,
    TaskView, Totals, UpcomingFilter, Written,
};
pub(crate) use state::new_store_id;
use state::{AcceptedKey, State};

/// A store in memory.
pub struct MemoryStore {
    shared: Arc<Mutex<State>>,
    /// Which handle this is: a node lives in a handle, as in a process.
    handle: u64,
}

impl MemoryStore {
    /// An empty store of one shard.
    pub fn new() -> Self {
        Self::with_shards(1)
    }

    /// An empty store of that many shards, 1..=4096; what lies outside is taken as the nearest.
    pub fn with_shards(shards: u16) -> Self {
        let state = State::new(shards.clamp(1, SHARDS_MAX));
        Self { shared: Arc::new(Mutex::new(state)), handle: 0 }
    }

    /// Another handle on the same store, as another process would have.
    #[must_use]
    pub fn another(&self) -> Self {
        let handle = self.with(|state| state.new_handle());
        Self { shared: Arc::clone(&self.shared), handle }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // A panic within `work` is a fault of ours that a test should see; the state behind it is still looked at.
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut state)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        let handle = self.handle;
        self.with(|state| lease::end_handle(state, handle));
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn identity(&self) -> Result<StoreIdentity, Error> {
        Ok(self.with(|state| StoreIdentity { store_id: state.store_id.clone(), schema_version: 1, shards: state.shard_count() }))
    }

    async fn clock(&self) -> Result<ClockSetting, Error> {
        Ok(self.with(|state| state.clock))
    }

    async fn set_clock(&self, setting: ClockSetting) -> Result<(), Error> {
        self.with(|state| {
            state.clock = match setting {
                ClockSetting::System | ClockSetting::Database { .. } => ClockSetting::System,
                ClockSetting::Virtual { now, target } => ClockSetting::Virtual { now: cut(now), target: cut(target) },
            };
        });
        Ok(())
    }

    async fn put_definition(&self, definition: StoredDefinition) -> Result<bool, Error> {
        Ok(self.with(|state| {
            let mut definition = StoredDefinition { created_at: cut(definition.created_at), is_current: true, ..definition };
            let known = state.definitions.iter().position(|other| other.hash == definition.hash);
            if let Some(index) = known {
                definition = state.definitions.remove(index);
            }
            state.definitions.push(definition);
            known.is_none()
        }))
    }

    async fn definitions(&self) -> Result<Vec<StoredDefinition>, Error> {
        Ok(self.with(|state| {
            let mut all = state.definitions.clone();
            for index in 0..all.len() {
                all[index].is_current = !all[index + 1..].iter().any(|later| later.name == all[index].name);
            }
            // Sorting is stable: within a name the order of putting stays.
            all.sort_by(|one, other| one.name.cmp(&other.name));
            all
        }))
    }

    async fn accept(&self, wishes: Vec<NewWish>, now: Timestamp) -> Result<Vec<Acceptance>, Error> {
        check_wishes(&wishes)?;
        Ok(self.with(|state| {
            let now = cut(now);
            state.keys.retain(|_, key| key.accepted_at.saturating_add(KEY_KEPT).is_ok_and(|until| until > now));
            wishes.into_iter().map(|wish| accept_one(state, wish, now)).collect()
        }))
    }

    async fn wishes(&self, lease: Option<&Lease>, ready_at: Timestamp, limit: usize) -> Result<Vec<InboxEntry>, Error> {
        check_count(limit)?;
        Ok(self.with(|state| {
            let is_owned = |entity: &EntityKey| lease.is_none_or(|lease| lease.epoch(state.shard_of(entity)).is_some());
            let is_ready = |entity: &EntityKey| state.postponed.get(entity).is_none_or(|one| one.try_at <= ready_at);
            let is_wanted = |entity: &EntityKey| is_owned(entity) && is_ready(entity);
            let wishes = state.wishes.values().filter(|wish| is_wanted(wish.wish.entity()));
            wishes.take(limit).cloned().map(InboxEntry::Wish).collect()
        }))
    }

    async fn wishes_of(&self, entity: &EntityKey) -> Result<Vec<InboxEntry>, Error> {
        Ok(self.with(|state| {
            state.wishes.values().filter(|wish| wish.wish.entity() == entity).cloned().map(InboxEntry::Wish).collect()
        }))
    }

    async fn reserve_ids(&self, count: usize) -> Result<Range<i64>, Error> {
        check_count(count)?;
        Ok(self.with(|state| state.take_ids(count)))
    }

    async fn snapshots(&self, entities: &[EntityKey]) -> Result<Vec<EntitySnapshot>, Error> {
        check_batch(entities.len())?;
        Ok(self.with(|state| entities.iter().map(|entity| state.snapshot(entity)).collect()))
    }

    async fn write(&self, lease: Option<&Lease>, changes: Vec<ChangeSet>, now: Timestamp) -> Result<Vec<Written>, Error> {
        check_batch(changes.len())?;
        Ok(self.with(|state| {
            let now = state.written_at(now);
            let mut write = |changes: ChangeSet| {
                let shard = state.shard_of(&changes.entity);
                if lease.is_some_and(|lease| !lease::owns(state, lease, shard)) {
                    return Err(Conflict::FenceLost(shard));
                }
                write::write(state, changes, now)
            };
            let written = changes.into_iter().map(|changes| match write(changes) {
                Ok(()) => Written::Applied,
                Err(conflict) => Written::Conflict(conflict),
            });
            written.collect()
        }))
    }

    async fn beat(&self, beat: &Beat) -> Result<Ownership, Error> {
        Ok(self.with(|state| lease::beat(state, self.handle, beat)))
    }

    async fn ownership(&self) -> Result<Ownership, Error> {
        Ok(self.with(|state| lease::ownership(state)))
    }

    async fn take(&self, node: &str, seen: &[OwnedShard]) -> Result<Vec<OwnedShard>, Error> {
        Ok(self.with(|state| lease::take(state, node, seen)))
    }

    async fn release(&self, lease: &Lease) -> Result<(), Error> {
        self.with(|state| lease::release(state, lease));
        Ok(())
    }

    async fn forget(&self, node: &str, beat: i64) -> Result<bool, Error> {
        Ok(self.with(|state| lease::forget(state, node, beat)))
    }

    async fn due_soon(
        &self,
        lease: &Lease,
        until: Timestamp,
        after: Option<(Timestamp, TaskId)>,
        limit: usize,
    ) -> Result<Vec<(Timestamp, TaskId)>, Error> {
        check_count(limit)?;
        Ok(self.with(|state| {
            let waking = state.by_wake_at(TaskState::Scheduled).into_iter().filter(|(_, id)| is_owned(state, lease, *id));
            let wanted = waking.filter(|key| key.0 <= until && after.is_none_or(|after| *key > after));
            wanted.take(limit).collect()
        }))
    }

    async fn start_except(&self, lease: &Lease, request: StartRequest, except: &[(Name, Name)]) -> Result<Vec<Task>, Error> {
        check_start(&request)?;
        Ok(self.with(|state| start(state, (lease, except), &request)))
    }

    async fn attempts_to_stop(&self, attempts: &[(TaskId, Fence)]) -> Result<Vec<TaskId>, Error> {
        check_batch(attempts.len())?;
        Ok(self.with(|state| {
            let goes_on = |(id, fence): &&(TaskId, Fence)| {
                let task = state.live.get(id).filter(|task| task.state == TaskState::Running && task.fence == *fence);
                task.is_some_and(|task| !task.cancel_asked && !task.answer_awaited)
            };
            attempts.iter().filter(|attempt| !goes_on(attempt)).map(|(id, _)| *id).collect()
        }))
    }

    async fn orphans(&self, lease: &Lease, limit: usize) -> Result<Vec<Task>, Error> {
        check_count(limit)?;
        Ok(self.with(|state| {
            let running = state.live.values().filter(|task| task.state == TaskState::Running && !task.answer_awaited);
            let is_orphan = |task: &&Task| {
                let epoch = owned_epoch(state, lease, task);
                epoch.is_some_and(|epoch| task.fence < epoch)
            };
            let mut orphans: Vec<Task> = running.filter(is_orphan).cloned().collect();
            orphans.sort_by_key(|task| (task.due_at, task.id));
            orphans.truncate(limit);
            orphans
        }))
    }

    async fn overdue_answers(&self, lease: &Lease, now: Timestamp, limit: usize) -> Result<Vec<Task>, Error> {
        check_count(limit)?;
        Ok(self.with(|state| {
            let running = state.by_wake_at(TaskState::Running).into_iter().filter(|(wake_at, _)| *wake_at <= now);
            let tasks = running.filter_map(|(_, id)| state.live.get(&id));
            let is_dead = |task: &Task| is_planted(Bug::F3) && task.started_at < now.checked_sub(LONG_RUN).ok();
            let tasks = tasks.filter(|task| task.answer_awaited || is_dead(task));
            tasks.filter(|task| owned_epoch(state, lease, task).is_some()).take(limit).cloned().collect()
        }))
    }

    async fn upcoming(&self, filter: &UpcomingFilter, page: PageRequest) -> Result<Page<Task>, Error> {
        self.with(|state| view::upcoming(state, filter, &page))
    }

    async fn history(&self, filter: &HistoryFilter, page: PageRequest) -> Result<Page<HistoryRow>, Error> {
        self.with(|state| view::history(state, filter, &page))
    }

    async fn task(&self, id: TaskId) -> Result<Option<TaskView>, Error> {
        Ok(self.with(|state| view::task(state, id)))
    }

    async fn counts(&self, filter: &CountsFilter) -> Result<Vec<Count>, Error> {
        self.with(|state| view::counts(state, filter))
    }

    async fn totals(&self) -> Result<Totals, Error> {
        Ok(self.with(|state| view::totals(state)))
    }

    async fn entities(&self, filter: &EntityFilter, page: PageRequest) -> Result<Page<EntitySummary>, Error> {
        self.with(|state| view::entities(state, filter, &page))
    }

    async fn erase(&self, entity: &EntityKey, now: Timestamp) -> Result<bool, Error> {
        Ok(self.with(|state| erase::erase(state, entity, now)))
    }

    async fn due_erasures(&self, lease: Option<&Lease>, now: Timestamp, limit: usize) -> Result<Vec<EntityKey>, Error> {
        check_count(limit)?;
        Ok(self.with(|state| erase::due(state, lease, now, limit)))
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, Error> {
        check_count(limit)?;
        Ok(self.with(|state| erase::prune(state, before, limit)))
    }
}

fn accept_one(state: &mut State, new: NewWish, now: Timestamp) -> Acceptance {
    let text = write_wish(&new.wish);
    if let Some(known) = new.key.as_ref().and_then(|key| state.keys.get(key)).filter(|_| !is_planted(Bug::F45)) {
        return match known.text == text {
            true => Acceptance::Accepted { id: known.wish, is_duplicate: true },
            false => Acceptance::KeyConflict { id: known.wish },
        };
    }
    state.last_wish += 1;
    let id = WishId(state.last_wish);
    let entity = new.wish.entity().clone();
    state.entity(&entity, now);
    if let Some(key) = new.key {
        state.keys.insert(key, AcceptedKey { wish: id, text, entity, accepted_at: now });
    }
    state.wishes.insert(id, StoredWish { id, wish: new.wish, at: cut(new.at), actor: new.actor });
    Acceptance::Accepted { id, is_duplicate: false }
}

/// The epoch under which the lease owns the task's shard, if it still does.
fn owned_epoch(state: &State, lease: &Lease, task: &Task) -> Option<Fence> {
    let shard: Shard = state.shard_of(&task.entity);
    lease.epoch(shard).filter(|_| lease::owns(state, lease, shard))
}

fn is_owned(state: &State, lease: &Lease, id: TaskId) -> bool {
    state.live.get(&id).is_some_and(|task| owned_epoch(state, lease, task).is_some())
}

/// What the planted failure F3 takes for too long.
const LONG_RUN: SignedDuration = SignedDuration::from_secs(2);

fn start(state: &mut State, (lease, except): (&Lease, &[(Name, Name)]), request: &StartRequest) -> Vec<Task> {
    let now = cut(request.now);
    let to = if is_planted(Bug::F32) { request.to } else { request.to.min(request.now) };
    let mut started = Vec::new();
    for (wake_at, id) in state.by_wake_at(TaskState::Scheduled) {
        if (started.len() == request.limit && !is_planted(Bug::F37)) || wake_at > to {
            break;
        }
        let is_wanted = request.from.is_none_or(|from| wake_at >= from) && is_owned(state, lease, id);
        if is_wanted && !is_of(state, id, except) && is_first_of_entity(state, wake_at, id) {
            let fence = Fence(state.take_fences(1));
            let task = &state.live[&id];
            let transition = task.apply(TaskEvent::Start { fence }, now).expect("a scheduled task starts under a new fence");
            state.live.insert(id, transition.task.clone());
            started.push(transition.task);
        }
    }
    started
}

/// Whether the task is of one of these steps; an ad-hoc task is of none.
fn is_of(state: &State, id: TaskId, steps: &[(Name, Name)]) -> bool {
    let Some(task) = state.live.get(&id) else { return false };
    let Some(timeline) = state.timeline_name(task.timeline) else { return false };
    steps.iter().any(|(of, step)| *of == timeline && *step == task.step)
}

fn is_first_of_entity(state: &State, wake_at: Timestamp, id: TaskId) -> bool {
    let entity = &state.live[&id].entity;
    let blocks = |other: &&Task| match other.state {
        TaskState::Running => !is_planted(Bug::F12),
        TaskState::Scheduled => (other.wake_at, other.id) < (wake_at, id),
        _ => false,
    };
    let is_blocked = state.live.values().filter(|other| other.entity == *entity).any(|other| blocks(&other));
    !is_blocked && !state.wishes.values().any(|wish| wish.wish.entity() == entity)
}
