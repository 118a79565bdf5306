//! Nodes and their shards: who beat when, who was forgotten, and what of the starts was lost with it.

use std::time::Duration;

use hence_core::shard::Shard;
use hence_core::task::Task;
use hence_store::port::{Lease, OwnedShard};

use super::{Ledger, Moment, Start};
use crate::executor::Process;
use crate::world::Trace;

/// L of the guarantees: no side effect begins later than this after a beat that was acknowledged.
const LEASE: Duration = Duration::from_secs(10);
/// S of the guarantees: who has beaten within this is not taken for dead.
const TAKEOVER: Duration = Duration::from_secs(14);
/// How long a shard may rest while it goes from one living node to another, or is kept in the end.
const HANDED_OVER: Duration = Duration::from_secs(7);

/// A node as its beats show it.
#[derive(Debug, Clone)]
pub(super) struct Beaten {
    process: Process,
    at: Duration,
}

impl Ledger {
    /// A beat was committed.
    pub(crate) fn beaten(&mut self, moment: Moment, process: Process, node: &str) {
        let is_new = self.nodes.insert(node.to_owned(), Beaten { process, at: moment.at }).is_none();
        if is_new {
            self.moved_at = moment.at;
        }
    }

    /// A node was forgotten: it must have stood still for long enough, unless it went by itself or is known to have ended (G7, G12).
    pub(crate) fn forgotten(&mut self, moment: Moment, process: Process, (node, is_known_dead): (&str, bool), trace: &mut Trace) {
        trace.note(moment.at, &format!("p{} forgot {node}", process.0));
        let Some(beaten) = self.nodes.remove(node) else { return };
        self.moved_at = moment.at;
        let still_for = moment.at.saturating_sub(beaten.at);
        let may = beaten.process == process || is_known_dead || still_for >= TAKEOVER;
        self.demand(may, "G7", || format!("{node} of p{} is forgotten {still_for:?} after its last beat", beaten.process.0));
        self.lose(beaten.process, |_| true);
    }

    /// A node took shards.
    pub(crate) fn taken(&mut self, moment: Moment, process: Process, shards: &[OwnedShard], trace: &mut Trace) {
        if !shards.is_empty() {
            self.moved_at = moment.at;
            trace.note(moment.at, &format!("p{} takes {} shards", process.0, shards.len()));
        }
    }

    /// A node gave shards back: nothing of them may be under way.
    pub(crate) fn released(&mut self, moment: Moment, process: Process, lease: &Lease, trace: &mut Trace) {
        trace.note(moment.at, &format!("p{} releases {} shards", process.0, lease.shards.len()));
        self.moved_at = moment.at;
        let shards = self.shards;
        let is_given = |task: &Task| lease.epoch(Shard::of(&task.entity, shards)).is_some();
        let is_open = |start: &&Start| start.process == process && !start.is_closed && !start.is_lost;
        let mut given = self.tasks.values().filter(|known| known.end.is_none() && is_given(&known.task));
        let left = given
            .find(|known| known.starts.iter().filter(is_open).any(|start| self.under_way(known.task.id, start.fence).is_some()));
        let left = left.map(|known| known.task.id);
        self.demand(left.is_none(), "G12", || format!("p{} gave a shard back while {left:?} was under way", process.0));
        // What it started without hearing of it.
        self.lose(process, is_given);
    }

    fn lose(&mut self, process: Process, is_given: impl Fn(&Task) -> bool) {
        let of_shards = self.tasks.values_mut().filter(|known| is_given(&known.task));
        for start in of_shards.flat_map(|known| &mut known.starts).filter(|start| start.process == process) {
            start.is_lost = true;
        }
    }

    /// A side effect begins: its node has beaten a moment ago, and has not lost the shard (G12, F5).
    pub(super) fn judge_lease(&mut self, moment: Moment, process: Process, start: &Start) {
        let id = start.fence;
        self.demand(!start.is_lost, "G12", || format!("p{} sends under {id}, and has lost the shard", process.0));
        let last = self.nodes.values().filter(|beaten| beaten.process == process).map(|beaten| beaten.at).max();
        let still_for = moment.at.saturating_sub(last.unwrap_or_default());
        self.demand(still_for < LEASE, "G12", || format!("p{} sends {still_for:?} after its last beat", process.0));
    }

    /// What of a delay is not due to shards that change hands.
    pub(super) fn since_moved(&self, moment: Moment) -> Duration {
        moment.at.saturating_sub(self.moved_at + HANDED_OVER)
    }
}
