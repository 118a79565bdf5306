//! Values of the port for the engine: identity, clock, definitions, wishes, writes and starts.

use hence_core::name::{DefinitionHash, EntityKey, Name, TaskId, TimelineId, WishId};
use hence_core::shard::Shard;
use hence_core::wish::{StoredWish, Wish};
use jiff::Timestamp;

/// Who a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreIdentity {
    /// 8 random characters of base32, made with the store; part of message ids, so that two stores never send the same id.
    pub store_id: String,
    /// The number of the newest migration that was applied.
    pub schema_version: u32,
    /// How many shards it has, from 1; fixed when it was made.
    pub shards: u16,
}

/// Which clock all processes on a store follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockSetting {
    /// The machine's.
    System,
    /// The database's, which all machines that use it share. To set it, any instant will do.
    Database {
        /// What it shows at this moment.
        now: Timestamp,
    },
    /// A virtual one, for development and demonstrations.
    Virtual {
        /// What it shows.
        now: Timestamp,
        /// Where it is asked to go; the engine that owns the clock moves `now` towards it, never back.
        target: Timestamp,
    },
}

/// A definition as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDefinition {
    /// Its content address.
    pub hash: DefinitionHash,
    /// Its name.
    pub name: Name,
    /// Its source text.
    pub source: String,
    /// When it was first put.
    pub created_at: Timestamp,
    /// Whether it is the one of its name that was put last; ignored when it is put.
    pub is_current: bool,
}

/// A wish to be accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct NewWish {
    /// What is wanted.
    pub wish: Wish,
    /// When it happened, by its teller; the store's clock when the teller did not say.
    pub at: Timestamp,
    /// Who tells it, such as `cli:anna`.
    pub actor: String,
    /// The caller's idempotency key, 1..=255 bytes.
    pub key: Option<String>,
}

/// A statement that another program runs on its own connection, within its own transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The text, with one parameter.
    pub sql: &'static str,
    /// The value of that parameter: a text.
    pub value: String,
}

/// What became of a wish that was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// It is in the inbox, or was before.
    Accepted {
        /// Its number.
        id: WishId,
        /// Whether it was accepted earlier under the same key, so that nothing was put now.
        is_duplicate: bool,
    },
    /// Another wish was accepted under the same key; nothing was put.
    KeyConflict {
        /// That other wish.
        id: WishId,
    },
}

/// A wish in the inbox.
#[derive(Debug, Clone, PartialEq)]
pub enum InboxEntry {
    /// One that can be read.
    Wish(StoredWish),
    /// One that this program cannot read: refuse it, and record that.
    Unreadable {
        /// Its number.
        id: WishId,
        /// Whom it is about.
        entity: EntityKey,
        /// What is stored.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl InboxEntry {
    /// The number of the wish.
    pub fn id(&self) -> WishId {
        match self {
            InboxEntry::Wish(wish) => wish.id,
            InboxEntry::Unreadable { id, .. } => *id,
        }
    }

    /// Whom it is about.
    pub fn entity(&self) -> &EntityKey {
        match self {
            InboxEntry::Wish(wish) => wish.wish.entity(),
            InboxEntry::Unreadable { entity, .. } => entity,
        }
    }
}

/// What became of a change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// All of it is stored.
    Applied,
    /// Nothing of it is stored.
    Conflict(Conflict),
}

/// Why a change set was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// Another plan for the entity was written in between: read it again and plan again.
    #[error("the entity is at version {stored}, not {planned_from}")]
    VersionChanged {
        /// What the plan was made from.
        planned_from: i64,
        /// What is stored.
        stored: i64,
    },
    /// The wish is not in the inbox any more: another carried it out.
    #[error("{0} is not in the inbox")]
    WishGone(WishId),
    /// The task is not in the expected state under the expected fence: another was first.
    #[error("{0} is not in the expected state")]
    TaskChanged(TaskId),
    /// The lease does not say, or no longer, that the node owns this shard: stop everything that was begun under it.
    #[error("the node does not own {0} any more")]
    FenceLost(Shard),
    /// There is, or was, a task of that number, or another one for the same step and occurrence of the timeline.
    #[error("{0} is a second task for the same occurrence")]
    DuplicateTask(TaskId),
    /// A task or record names a timeline that is not stored.
    #[error("{0} is not known")]
    UnknownTimeline(TimelineId),
    /// The change set contradicts itself, or cannot be stored; trying again does not help.
    #[error("the changes cannot be stored: {0}")]
    Invalid(String),
}

/// Which tasks to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartRequest {
    /// The instant of the start; nothing that wakes later is started.
    pub now: Timestamp,
    /// Only tasks that wake from then on, to serve fresh ones beside a backlog.
    pub from: Option<Timestamp>,
    /// Only tasks that wake until then (included).
    pub to: Timestamp,
    /// How many tasks at most, 1..=1000.
    pub limit: usize,
}
