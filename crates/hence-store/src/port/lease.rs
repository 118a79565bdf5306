//! Values of the port for ownership: nodes with their beats, shards with their epochs, and the lease that is made of them.

use hence_core::name::Fence;
use hence_core::shard::Shard;
use jiff::Timestamp;

/// What a node says of itself while it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Its name, random for each start of a process.
    pub node: String,
    /// Which of its beats this is, higher than all that it sent before. So no number of a node comes twice, also where it was forgotten in
    /// between or a call was long on its way: who saw one can tell whether the node stood still.
    pub number: i64,
    /// The instant by the machine's clock; only people look at it.
    pub at: Timestamp,
    /// Whether it is about to stop: it takes nothing more, and others take what it gives back.
    pub is_leaving: bool,
    /// What people should know of it now, such as that it starts nothing because the clock jumped.
    pub notice: Option<String>,
}

/// Who owns what, at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ownership {
    /// All nodes that are not forgotten, by name.
    pub nodes: Vec<NodeRow>,
    /// All shards of the store, by number.
    pub shards: Vec<ShardRow>,
}

/// A node as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Its name.
    pub node: String,
    /// The highest number of its beats since it joined.
    pub beat: i64,
    /// What the store knows of its life beside the beat.
    pub life: Life,
    /// When it beat first, by its own clock.
    pub joined_at: Timestamp,
    /// When it beat last, by its own clock.
    pub beaten_at: Timestamp,
    /// Whether it said in that beat that it is about to stop.
    pub is_leaving: bool,
    /// What people should know of it, by that beat.
    pub notice: Option<String>,
}

/// What a store knows of a node's process beside its beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Nothing: whoever sees the beat stand still for long enough may forget the node.
    Unknown,
    /// It has not ended. Only the node itself can be made to forget it.
    Alive,
    /// It has ended; the node may be forgotten at once.
    Gone,
}

/// A shard as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardRow {
    /// Which one.
    pub shard: Shard,
    /// Which giving of the shard was the last; zero before the first.
    pub epoch: Fence,
    /// The node that owns it; `None` when it is free.
    pub holder: Option<String>,
}

/// Timed ownership of shards by a node, as it was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lease {
    /// Who owns them.
    pub node: String,
    /// What is owned, by number.
    pub shards: Vec<OwnedShard>,
}

/// A shard under the epoch that it was seen or given with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnedShard {
    /// Which one.
    pub shard: Shard,
    /// Which giving of it: every start under it has a higher fence, every start under an earlier one a lower.
    pub epoch: Fence,
}

impl Lease {
    /// The epoch under which the lease owns that shard.
    pub fn epoch(&self, shard: Shard) -> Option<Fence> {
        self.shards.iter().find(|owned| owned.shard == shard).map(|owned| owned.epoch)
    }
}

impl Ownership {
    /// What that node owns.
    pub fn lease_of(&self, node: &str) -> Lease {
        let held = self.shards.iter().filter(|row| row.holder.as_deref() == Some(node));
        let shards = held.map(|row| OwnedShard { shard: row.shard, epoch: row.epoch }).collect();
        Lease { node: node.to_owned(), shards }
    }

    /// Shards that nobody owns, as they were seen.
    pub fn free(&self) -> impl Iterator<Item = OwnedShard> {
        let free = self.shards.iter().filter(|row| row.holder.is_none());
        free.map(|row| OwnedShard { shard: row.shard, epoch: row.epoch })
    }

    /// The row of that node.
    pub fn node(&self, node: &str) -> Option<&NodeRow> {
        self.nodes.iter().find(|row| row.node == node)
    }
}
