//! All that the memory store keeps, and the small steps on it.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use hence_core::history::Record;
use hence_core::name::{EntityKey, Name, TaskId, TimelineId, WishId};
use hence_core::sabotage::{Bug, is_planted};
use hence_core::shard::Shard;
use hence_core::task::{Task, TaskState};
use hence_core::timeline::{EntitySnapshot, Timeline, TimelineStatus};
use hence_core::wish::StoredWish;
use jiff::Timestamp;

use super::lease::{Held, Node};
use crate::format::cut;
use crate::limits::hour_of;
use crate::port::{ClockSetting, HistoryRow, Postponed, StoredDefinition, TaskOrigin};

pub(super) struct State {
    pub(super) store_id: String,
    pub(super) clock: ClockSetting,
    /// In the order they were put last.
    pub(super) definitions: Vec<StoredDefinition>,
    pub(super) entities: BTreeMap<EntityKey, EntityRow>,
    pub(super) timelines: BTreeMap<TimelineId, Timeline>,
    pub(super) live: BTreeMap<TaskId, Task>,
    pub(super) origins: BTreeMap<TaskId, TaskOrigin>,
    pub(super) history: BTreeMap<i64, HistoryRow>,
    pub(super) wishes: BTreeMap<WishId, StoredWish>,
    /// Whose wishes were tried in vain; how many they are is counted when it is asked.
    pub(super) postponed: BTreeMap<EntityKey, Postponed>,
    pub(super) keys: BTreeMap<String, AcceptedKey>,
    pub(super) finished: BTreeMap<FinishedKey, u64>,
    pub(super) nodes: BTreeMap<String, Node>,
    /// By number.
    pub(super) shards: Vec<Held>,
    pub(super) last_wish: i64,
    last_id: i64,
    last_fence: i64,
    last_seq: i64,
    last_handle: u64,
}

/// What is kept of an entity beside its timelines.
#[derive(Debug, Clone, Default)]
pub(super) struct EntityRow {
    pub(super) version: i64,
    pub(super) erase_at: Option<Timestamp>,
    /// Since when nothing is ahead, by the newest write.
    pub(super) idle_since: Option<Timestamp>,
}

pub(super) struct AcceptedKey {
    pub(super) wish: WishId,
    pub(super) text: String,
    pub(super) entity: EntityKey,
    pub(super) accepted_at: Timestamp,
}

/// What finished tasks are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FinishedKey {
    pub(super) hour: i64,
    pub(super) timeline: Option<Name>,
    pub(super) step: Option<Name>,
    pub(super) outcome: String,
}

impl State {
    pub(super) fn new(shards: u16) -> Self {
        Self {
            store_id: new_store_id(),
            clock: ClockSetting::System,
            definitions: Vec::new(),
            entities: BTreeMap::new(),
            timelines: BTreeMap::new(),
            live: BTreeMap::new(),
            origins: BTreeMap::new(),
            history: BTreeMap::new(),
            wishes: BTreeMap::new(),
            postponed: BTreeMap::new(),
            keys: BTreeMap::new(),
            finished: BTreeMap::new(),
            nodes: BTreeMap::new(),
            shards: vec![Held::nobody(); usize::from(shards)],
            last_wish: 0,
            last_id: 0,
            last_fence: 0,
            last_seq: 0,
            last_handle: 0,
        }
    }

    pub(super) fn new_handle(&mut self) -> u64 {
        self.last_handle += 1;
        self.last_handle
    }

    pub(super) fn take_ids(&mut self, count: usize) -> Range<i64> {
        let first = self.last_id + 1;
        self.last_id += i64::try_from(count).expect("a checked count is small");
        first..self.last_id + 1
    }

    /// The first of that many new fences.
    pub(super) fn take_fences(&mut self, count: i64) -> i64 {
        self.last_fence += count;
        self.last_fence - count + 1
    }

    pub(super) fn shard_count(&self) -> u16 {
        u16::try_from(self.shards.len()).expect("their number came as a u16")
    }

    pub(super) fn shard_of(&self, entity: &EntityKey) -> Shard {
        Shard::of(entity, self.shard_count())
    }

    /// `now` as history keeps it: never earlier than the newest record.
    pub(super) fn written_at(&self, now: Timestamp) -> Timestamp {
        self.history.values().next_back().map_or(cut(now), |newest| newest.written_at.max(cut(now)))
    }

    /// The row of the entity, made if it is new.
    pub(super) fn entity(&mut self, entity: &EntityKey, now: Timestamp) -> &mut EntityRow {
        self.entities.entry(entity.clone()).or_insert_with(|| EntityRow { idle_since: Some(now), ..EntityRow::default() })
    }

    pub(super) fn timeline_name(&self, id: Option<TimelineId>) -> Option<Name> {
        id.and_then(|id| self.timelines.get(&id)).map(|timeline| timeline.name.clone())
    }

    pub(super) fn add_record(&mut self, mut record: Record, now: Timestamp) {
        record.at = cut(record.at);
        record.due_at = record.due_at.map(cut);
        record.started_at = record.started_at.map(cut);
        self.last_seq += 1;
        let timeline_name = self.timeline_name(record.timeline);
        self.history.insert(self.last_seq, HistoryRow { seq: self.last_seq, written_at: now, record, timeline_name });
    }

    /// Takes a task that ended out of the live ones, and counts it.
    pub(super) fn finish(&mut self, id: TaskId, outcome: &str, now: Timestamp) {
        let Some(task) = self.live.remove(&id) else { return };
        let timeline = self.timeline_name(task.timeline);
        let step = timeline.is_some().then_some(task.step);
        let key = FinishedKey { hour: hour_of(now), timeline, step, outcome: outcome.to_owned() };
        *self.finished.entry(key).or_default() += 1;
    }

    /// Notes that something was written about the entity.
    pub(super) fn touch(&mut self, entity: &EntityKey, now: Timestamp) {
        let is_ahead = self.live.values().any(|task| task.entity == *entity)
            || self.timelines.values().any(|line| line.entity == *entity && line.status == TimelineStatus::Active);
        self.entity(entity, now).idle_since = if is_ahead { None } else { Some(now) };
    }

    pub(super) fn snapshot(&self, entity: &EntityKey) -> EntitySnapshot {
        let mut live: Vec<Task> = self.live.values().filter(|task| task.entity == *entity).cloned().collect();
        live.sort_by_key(|task| (task.due_at, task.id));
        EntitySnapshot {
            entity: entity.clone(),
            version: self.entities.get(entity).map_or(0, |row| row.version),
            timelines: self.timelines.values().filter(|timeline| timeline.entity == *entity).cloned().collect(),
            live,
            records: self.history.values().map(|row| &row.record).filter(|record| record.entity == *entity).cloned().collect(),
        }
    }

    /// The live tasks in that state, by (wake instant, id).
    pub(super) fn by_wake_at(&self, state: TaskState) -> Vec<(Timestamp, TaskId)> {
        let tasks = self.live.values().filter(|task| task.state == state);
        let wake_at = |task: &Task| if is_planted(Bug::F15) { task.due_at } else { task.wake_at };
        let mut keys: Vec<_> = tasks.map(|task| (wake_at(task), task.id)).collect();
        keys.sort_unstable();
        keys
    }
}

/// 8 random characters of base32 (RFC 4648, lower case).
pub(crate) fn new_store_id() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    // The standard library seeds its hash maps from the operating system; that is all the randomness this needs.
    let random = RandomState::new().build_hasher().finish().to_le_bytes();
    random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}
