//! The memory store: the reference that the others are compared with. Simple and obviously right, not quick; nothing outlives the process.
//!
//! All state stands in one `State` behind a lock that is never held over an `.await`. Clones made with [`MemoryStore::another`] are
//! other processes on the same store: dropping the one that holds the lease is the death of its node.

mod erase;
mod state;
mod view;
mod write;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use hence_core::name::{DefinitionHash, EntityKey, Fence, TaskId, WishId};
use hence_core::task::{Task, TaskEvent, TaskState};
use hence_core::timeline::{ChangeSet, EntitySnapshot};
use hence_core::wish::{StoredWish, write_wish};
use jiff::Timestamp;

use crate::error::{Error, ErrorKind};
use crate::format::cut;
use crate::limits::{KEY_KEPT, check_batch, check_count, check_start, check_wishes};
use crate::port::{
    Acceptance, ClockSetting, Count, CountsFilter, EntityFilter, EntitySummary, HistoryFilter, HistoryRow, InboxEntry, Lease,
    NewWish, Page, PageRequest, StartRequest, Store, StoreIdentity, StoredDefinition, TaskView, Totals, UpcomingFilter, Written,
};
pub(crate) use state::new_store_id;
use state::{AcceptedKey, State};

/// A store in memory.
pub struct MemoryStore {
    shared: Arc<Mutex<State>>,
    /// Which handle this is: the lease belongs to a handle, as a file lock belongs to a process.
    handle: u64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self { shared: Arc::new(Mutex::new(State::new())), handle: 0 }
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
        self.with(|state| {
            if state.lease_handle == Some(handle) {
                state.lease_handle = None;
            }
        });
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn identity(&self) -> Result<StoreIdentity, Error> {
        Ok(self.with(|state| StoreIdentity { store_id: state.store_id.clone(), schema_version: 1 }))
    }

    async fn clock(&self) -> Result<ClockSetting, Error> {
        Ok(self.with(|state| state.clock))
    }

    async fn set_clock(&self, setting: ClockSetting) -> Result<(), Error> {
        self.with(|state| {
            state.clock = match setting {
                ClockSetting::System => ClockSetting::System,
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

    async fn definition(&self, hash: &DefinitionHash) -> Result<Option<StoredDefinition>, Error> {
        Ok(self.definitions().await?.into_iter().find(|definition| definition.hash == *hash))
    }

    async fn accept(&self, wishes: Vec<NewWish>, now: Timestamp) -> Result<Vec<Acceptance>, Error> {
        check_wishes(&wishes)?;
        Ok(self.with(|state| {
            let now = cut(now);
            state.keys.retain(|_, key| key.accepted_at.saturating_add(KEY_KEPT).is_ok_and(|until| until > now));
            wishes.into_iter().map(|wish| accept_one(state, wish, now)).collect()
        }))
    }

    async fn wishes(&self, limit: usize) -> Result<Vec<InboxEntry>, Error> {
        check_count(limit)?;
        Ok(self.with(|state| state.wishes.values().take(limit).cloned().map(InboxEntry::Wish).collect()))
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
        self.with(|state| {
            if let Some(lease) = lease {
                state.check_lease(lease)?;
            }
            let now = state.written_at(now);
            Ok(changes
                .into_iter()
                .map(|changes| match write::write(state, changes, now) {
                    Ok(()) => Written::Applied,
                    Err(conflict) => Written::Conflict(conflict),
                })
                .collect())
        })
    }

    async fn take_lease(&self, node: &str, _now: Timestamp) -> Result<Lease, Error> {
        self.with(|state| {
            if let (Some(handle), Some((by, _))) = (state.lease_handle, &state.lease)
                && (handle != self.handle || by != node)
            {
                let context = format!("the node {by} holds the lease");
                return Err(Error::new(ErrorKind::LeaseHeld { by: by.clone() }, context));
            }
            let epoch = Fence(state.take_fences(1));
            state.lease = Some((node.to_owned(), epoch));
            state.lease_handle = Some(self.handle);
            Ok(Lease { node: node.to_owned(), epoch, shards: vec![0] })
        })
    }

    async fn renew(&self, lease: &Lease, _now: Timestamp) -> Result<(), Error> {
        self.with(|state| state.check_lease(lease))
    }

    async fn release(&self, lease: &Lease) -> Result<(), Error> {
        self.with(|state| {
            if state.check_lease(lease).is_ok() {
                state.lease = None;
                state.lease_handle = None;
            }
        });
        Ok(())
    }

    async fn due_soon(
        &self,
        lease: &Lease,
        until: Timestamp,
        after: Option<(Timestamp, TaskId)>,
        limit: usize,
    ) -> Result<Vec<(Timestamp, TaskId)>, Error> {
        check_count(limit)?;
        self.with(|state| {
            state.check_lease(lease)?;
            let waking = state.by_wake_at(TaskState::Scheduled);
            let wanted = waking.into_iter().filter(|key| key.0 <= until && after.is_none_or(|after| *key > after));
            Ok(wanted.take(limit).collect())
        })
    }

    async fn start(&self, lease: &Lease, request: StartRequest) -> Result<Vec<Task>, Error> {
        check_start(&request)?;
        self.with(|state| {
            state.check_lease(lease)?;
            Ok(start(state, &request))
        })
    }

    async fn orphans(&self, lease: &Lease, limit: usize) -> Result<Vec<Task>, Error> {
        check_count(limit)?;
        self.with(|state| {
            state.check_lease(lease)?;
            let running = state.live.values().filter(|task| task.state == TaskState::Running && !task.answer_awaited);
            let mut orphans: Vec<Task> = running.filter(|task| task.fence < lease.epoch).cloned().collect();
            orphans.sort_by_key(|task| (task.due_at, task.id));
            orphans.truncate(limit);
            Ok(orphans)
        })
    }

    async fn overdue_answers(&self, lease: &Lease, now: Timestamp, limit: usize) -> Result<Vec<Task>, Error> {
        check_count(limit)?;
        self.with(|state| {
            state.check_lease(lease)?;
            let running = state.by_wake_at(TaskState::Running).into_iter().filter(|(wake_at, _)| *wake_at <= now);
            let tasks = running.filter_map(|(_, id)| state.live.get(&id)).filter(|task| task.answer_awaited);
            Ok(tasks.take(limit).cloned().collect())
        })
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

    async fn due_erasures(&self, now: Timestamp, limit: usize) -> Result<Vec<EntityKey>, Error> {
        check_count(limit)?;
        Ok(self.with(|state| erase::due(state, now, limit)))
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, Error> {
        check_count(limit)?;
        Ok(self.with(|state| erase::prune(state, before, limit)))
    }
}

fn accept_one(state: &mut State, new: NewWish, now: Timestamp) -> Acceptance {
    let text = write_wish(&new.wish);
    if let Some(known) = new.key.as_ref().and_then(|key| state.keys.get(key)) {
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

fn start(state: &mut State, request: &StartRequest) -> Vec<Task> {
    let now = cut(request.now);
    let to = request.to.min(request.now);
    let mut started = Vec::new();
    for (wake_at, id) in state.by_wake_at(TaskState::Scheduled) {
        if started.len() == request.limit || wake_at > to {
            break;
        }
        if request.from.is_none_or(|from| wake_at >= from) && is_first_of_entity(state, wake_at, id) {
            let fence = Fence(state.take_fences(1));
            let task = &state.live[&id];
            let transition = task.apply(TaskEvent::Start { fence }, now).expect("a scheduled task starts under a new fence");
            state.live.insert(id, transition.task.clone());
            started.push(transition.task);
        }
    }
    started
}

fn is_first_of_entity(state: &State, wake_at: Timestamp, id: TaskId) -> bool {
    let entity = &state.live[&id].entity;
    let blocks = |other: &&Task| match other.state {
        TaskState::Running => true,
        TaskState::Scheduled => (other.wake_at, other.id) < (wake_at, id),
        _ => false,
    };
    let is_blocked = state.live.values().filter(|other| other.entity == *entity).any(|other| blocks(&other));
    !is_blocked && !state.wishes.values().any(|wish| wish.wish.entity() == entity)
}
