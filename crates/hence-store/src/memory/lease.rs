//! Nodes and shards in memory.

use std::collections::BTreeSet;

use hence_core::name::Fence;
use hence_core::shard::Shard;
use jiff::Timestamp;

use super::state::State;
use crate::format::cut;
use crate::port::{Beat, Lease, Life, NodeRow, OwnedShard, Ownership, ShardRow};

/// A node, and the handle that it beat through last.
pub(super) struct Node {
    beat: i64,
    handle: u64,
    joined_at: Timestamp,
    beaten_at: Timestamp,
    is_leaving: bool,
    notice: Option<String>,
    is_gone: bool,
}

/// The last giving of a shard.
#[derive(Debug, Clone)]
pub(super) struct Held {
    epoch: Fence,
    holder: Option<String>,
}

impl Held {
    /// Never given yet.
    pub(super) fn nobody() -> Self {
        Self { epoch: Fence(0), holder: None }
    }
}

pub(super) fn beat(state: &mut State, handle: u64, beat: &Beat) -> Ownership {
    let at = cut(beat.at);
    let new = || Node { beat: 0, handle, joined_at: at, beaten_at: at, is_leaving: false, notice: None, is_gone: false };
    let node = state.nodes.entry(beat.node.clone()).or_insert_with(new);
    node.beat = node.beat.max(beat.number);
    node.handle = handle;
    node.is_gone = false;
    node.beaten_at = at;
    node.is_leaving = beat.is_leaving;
    node.notice.clone_from(&beat.notice);
    ownership(state)
}

pub(super) fn ownership(state: &State) -> Ownership {
    let nodes = state.nodes.iter().map(|(name, node)| NodeRow {
        node: name.clone(),
        beat: node.beat,
        life: if node.is_gone { Life::Gone } else { Life::Unknown },
        joined_at: node.joined_at,
        beaten_at: node.beaten_at,
        is_leaving: node.is_leaving,
        notice: node.notice.clone(),
    });
    let shards = (0..).zip(&state.shards).map(|(number, held)| ShardRow {
        shard: Shard(number),
        epoch: held.epoch,
        holder: held.holder.clone(),
    });
    Ownership { nodes: nodes.collect(), shards: shards.collect() }
}

pub(super) fn take(state: &mut State, node: &str, seen: &[OwnedShard]) -> Vec<OwnedShard> {
    let mut taken = Vec::new();
    // Each once, by number, as a table would give them.
    for seen in seen.iter().collect::<BTreeSet<_>>() {
        let held = state.shards.get(usize::from(seen.shard.0));
        let is_free = held.is_some_and(|held| held.holder.is_none() && held.epoch == seen.epoch);
        if is_free && state.nodes.contains_key(node) {
            let epoch = Fence(state.take_fences(1));
            state.shards[usize::from(seen.shard.0)] = Held { epoch, holder: Some(node.to_owned()) };
            taken.push(OwnedShard { shard: seen.shard, epoch });
        }
    }
    taken
}

pub(super) fn release(state: &mut State, lease: &Lease) {
    for owned in &lease.shards {
        if owns(state, lease, owned.shard) {
            state.shards[usize::from(owned.shard.0)].holder = None;
        }
    }
}

pub(super) fn forget(state: &mut State, node: &str, beat: i64) -> bool {
    if state.nodes.get(node).is_none_or(|stored| stored.beat != beat) {
        return false;
    }
    state.nodes.remove(node);
    for held in state.shards.iter_mut().filter(|held| held.holder.as_deref() == Some(node)) {
        held.holder = None;
    }
    true
}

/// Whether the lease is right about that shard.
pub(super) fn owns(state: &State, lease: &Lease, shard: Shard) -> bool {
    let held = state.shards.get(usize::from(shard.0));
    held.is_some_and(|held| held.holder.as_ref() == Some(&lease.node) && lease.epoch(shard) == Some(held.epoch))
}

/// The process of that handle has ended.
pub(super) fn end_handle(state: &mut State, handle: u64) {
    for node in state.nodes.values_mut().filter(|node| node.handle == handle) {
        node.is_gone = true;
    }
}
