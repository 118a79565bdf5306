//! Ownership of shards: a state machine that is told what a node sees and says what it should do about it. It never waits.
//!
//! Owns when to beat and look, when another node counts as dead, which shards to take, to drain and to give back, until when this node
//! may start anything, and the order of leaving. Leaves to others: doing it (`keeper`), writing it down (`hence_store::Store`), which
//! tasks to start (`scheduler`). Time is the elapsed time of the node's own clock, one that counts while the machine sleeps; instants
//! are never compared between nodes. Invariants:
//! - a node starts nothing later than [`Timing::lease`] after it *sent* the last beat that was acknowledged;
//! - it has another forgotten only after it saw that one's beat stand still for [`Timing::takeover`] while it was looking itself, or
//!   when the store knows that its process has ended; what it could not see (its own pause, a store that was away) counts for nothing;
//! - of a shard it gives back it forgets first, and gives it back only when nothing of it is under way;
//! - what the store says after a beat is what it owns.
//!
//! Docs: `docs/internals/ownership.md`.

mod timing;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hence_core::name::Fence;
use hence_core::shard::Shard;
use hence_store::port::{Lease, Life, OwnedShard, Ownership};

pub use timing::{Timing, TimingError};

/// The time between two looks at what others own, beside the beats.
pub const LOOK: Duration = Duration::from_millis(500);
/// How often leaving is tried while the store cannot be reached; then the others find out by themselves.
const LEAVES_MAX: u32 = 3;
/// How long one look is taken to reach back, at most: a longer pause was not watched.
const WATCHED_MAX: Duration = Duration::from_secs(2);
/// How long a shard may be drained for another node; then its tasks would wait too long, and it is kept.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// How long shards are kept after one could not be drained.
const REST: Duration = Duration::from_secs(60);
/// A shard that stays free for so long is taken also by a node that has its share: whoever it was left for does not take it.
const FREE_MAX: Duration = Duration::from_secs(4);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Time went by. Something of these shards is under way: a start, an attempt, or an outcome that is not written yet.
    Woke {
        /// Those shards.
        busy: BTreeSet<Shard>,
    },
    /// A beat was acknowledged.
    Beaten {
        /// When it was sent.
        sent: Duration,
        /// What the store said.
        seen: Ownership,
    },
    /// The store said who owns what.
    Looked {
        /// That.
        seen: Ownership,
    },
    /// A node was forgotten, or turned out to have beaten.
    Forgotten,
    /// Shards were taken.
    Taken {
        /// Those that the store gave.
        shards: Vec<OwnedShard>,
    },
    /// Shards were given back.
    Released,
    /// This node was forgotten by its own wish.
    Left,
    /// The call failed; whether it was carried out is not known.
    Failed,
    /// This node is to stop: nothing new begins.
    StopAsked,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Say that this node lives.
    Beat {
        /// Which of its beats this is, from 1.
        number: i64,
        /// Whether it is about to stop.
        is_leaving: bool,
    },
    /// See who owns what.
    Look,
    /// Have a node forgotten, by the beat that was seen.
    Forget {
        /// Its name.
        node: String,
        /// Its beat.
        beat: i64,
    },
    /// Take shards that were seen free.
    Take(Vec<OwnedShard>),
    /// Give shards back. They are owned no longer, whatever comes of it.
    Release(Vec<OwnedShard>),
    /// Have this node itself forgotten.
    Leave {
        /// Its beat.
        beat: i64,
    },
    /// Wait at most so long.
    Wait {
        /// That long.
        at_most: Duration,
    },
    /// This node has left.
    Stop,
}

/// What this node owns, for those who start and deliver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holding {
    /// Until when, by the node's own clock, it may begin side effects; zero before the first beat.
    pub until: Duration,
    /// What it owns; nothing new starts in those that are drained.
    pub shards: BTreeMap<Shard, Held>,
}

/// One owned shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The epoch it was given under.
    pub epoch: Fence,
    /// Since when it is drained, to be given back.
    pub draining_since: Option<Duration>,
}

/// Another node, as this one watched it.
#[derive(Debug, Clone)]
struct Watched {
    beat: i64,
    /// How long its beat was watched to stand still.
    still_for: Duration,
    /// Whether it was ever seen to beat.
    has_moved: bool,
    is_leaving: bool,
    life: Life,
}

/// The state of one node's ownership.
#[derive(Debug)]
pub struct Owner {
    node: String,
    timing: Timing,
    holding: Holding,
    others: BTreeMap<String, Watched>,
    /// How long each free shard was watched to stay free.
    free: BTreeMap<Shard, (Fence, Duration)>,
    seen_at: Option<Duration>,
    /// The highest of its beats that is stored, as it was seen last.
    beat: i64,
    /// How many it sent; never counted anew.
    beats_sent: i64,
    beat_due: Duration,
    look_due: Duration,
    rest_until: Duration,
    is_stopping: bool,
    leave_due: Duration,
    failed_leaves: u32,
    busy: BTreeSet<Shard>,
}

impl Owner {
    /// A node that owns nothing yet. `node` is random for each start of a process.
    pub fn new(node: String, timing: Timing) -> Self {
        Self {
            node,
            timing,
            holding: Holding::default(),
            others: BTreeMap::new(),
            free: BTreeMap::new(),
            seen_at: None,
            beat: 0,
            beats_sent: 0,
            beat_due: Duration::ZERO,
            look_due: Duration::ZERO,
            rest_until: Duration::ZERO,
            is_stopping: false,
            leave_due: Duration::ZERO,
            failed_leaves: 0,
            busy: BTreeSet::new(),
        }
    }

    /// The name of the node.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// What it owns and until when.
    pub fn holding(&self) -> &Holding {
        &self.holding
    }

    /// What follows from an event at `now`, the elapsed time of this node's own clock.
    pub fn on_event(&mut self, now: Duration, event: Event) -> Vec<Action> {
        match event {
            Event::Woke { busy } => {
                self.busy = busy;
                self.woke(now)
            }
            Event::Beaten { sent, seen } => {
                self.beat = seen.node(&self.node).map_or(0, |row| row.beat);
                self.holding.until = sent + self.timing.lease;
                self.saw(now, &seen)
            }
            Event::Looked { seen } => {
                if seen.node(&self.node).is_none() {
                    self.holding = Holding::default();
                    self.beat_due = now;
                }
                self.saw(now, &seen)
            }
            Event::Forgotten | Event::Released => vec![self.look(now)],
            Event::Taken { shards } => {
                for owned in shards {
                    self.free.remove(&owned.shard);
                    self.holding.shards.insert(owned.shard, Held { epoch: owned.epoch, draining_since: None });
                }
                Vec::new()
            }
            Event::Left => vec![Action::Stop],
            // The beat or look that comes next tells what holds. A call that fails at once is not repeated at once.
            Event::Failed => {
                self.beat_due = self.beat_due.min(now + LOOK);
                if self.is_stopping && self.holding.shards.is_empty() {
                    self.leave_due = now + LOOK;
                    self.failed_leaves += 1;
                }
                Vec::new()
            }
            Event::StopAsked => {
                self.is_stopping = true;
                for held in self.holding.shards.values_mut() {
                    held.draining_since.get_or_insert(now);
                }
                // The others hear of it at once, so that they take what is given back.
                self.beat_due = now;
                Vec::new()
            }
        }
    }

    fn woke(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = self.give_back(now);
        if self.is_stopping && self.holding.shards.is_empty() && actions.is_empty() && now < self.beat_due {
            if self.failed_leaves >= LEAVES_MAX {
                return vec![Action::Stop];
            }
            if now >= self.leave_due {
                return vec![Action::Leave { beat: self.beat }];
            }
        }
        if now >= self.beat_due {
            self.beat_due = now + self.timing.renew;
            self.look_due = now + LOOK;
            self.beats_sent += 1;
            actions.push(Action::Beat { number: self.beats_sent, is_leaving: self.is_stopping });
        } else if now >= self.look_due {
            actions.push(self.look(now));
        }
        let is_drained = |(shard, held): (&Shard, &Held)| held.draining_since.is_some() && !self.busy.contains(shard);
        let next = self.beat_due.min(self.look_due).saturating_sub(now);
        let may_leave = self.is_stopping && self.holding.shards.is_empty() && now >= self.leave_due;
        let at_most = if may_leave || self.holding.shards.iter().any(is_drained) { Duration::ZERO } else { next };
        actions.push(Action::Wait { at_most });
        actions
    }

    fn look(&mut self, now: Duration) -> Action {
        self.look_due = now + LOOK;
        Action::Look
    }

    /// Gives back what was drained and is at rest; what cannot be drained for another node is kept.
    fn give_back(&mut self, now: Duration) -> Vec<Action> {
        let mut given = Vec::new();
        for (shard, held) in &mut self.holding.shards {
            let Some(since) = held.draining_since else { continue };
            if !self.busy.contains(shard) {
                given.push(OwnedShard { shard: *shard, epoch: held.epoch });
            } else if !self.is_stopping && now.saturating_sub(since) > DRAIN_MAX {
                held.draining_since = None;
                self.rest_until = now + REST;
            }
        }
        self.holding.shards.retain(|shard, _| !given.iter().any(|owned| owned.shard == *shard));
        if given.is_empty() { Vec::new() } else { vec![Action::Release(given)] }
    }

    fn saw(&mut self, now: Duration, seen: &Ownership) -> Vec<Action> {
        let watched = self.seen_at.map_or(Duration::ZERO, |at| now.saturating_sub(at).min(WATCHED_MAX));
        self.seen_at = Some(now);
        self.watch_nodes(seen, watched);
        self.watch_free(seen, watched);
        self.adopt(now, seen);
        let dead: Vec<Action> = self
            .others
            .iter()
            .filter(|(_, other)| other.is_dead(self.timing))
            .map(|(node, other)| Action::Forget { node: node.clone(), beat: other.beat })
            .collect();
        if !dead.is_empty() {
            return dead;
        }
        if self.is_stopping {
            return Vec::new();
        }
        self.drain_surplus(now, seen);
        let wanted = self.wanted(seen);
        if wanted.is_empty() { Vec::new() } else { vec![Action::Take(wanted)] }
    }

    fn watch_nodes(&mut self, seen: &Ownership, watched: Duration) {
        let mut others = BTreeMap::new();
        for row in seen.nodes.iter().filter(|row| row.node != self.node) {
            let known = self.others.remove(&row.node);
            let has_moved = known.as_ref().is_some_and(|known| known.has_moved || known.beat != row.beat);
            let still_for =
                known.filter(|known| known.beat == row.beat).map_or(Duration::ZERO, |known| known.still_for + watched);
            let other = Watched { beat: row.beat, still_for, has_moved, is_leaving: row.is_leaving, life: row.life };
            others.insert(row.node.clone(), other);
        }
        self.others = others;
    }

    fn watch_free(&mut self, seen: &Ownership, watched: Duration) {
        let was = std::mem::take(&mut self.free);
        for owned in seen.free() {
            let known = was.get(&owned.shard).filter(|(epoch, _)| *epoch == owned.epoch);
            let free_for = known.map_or(Duration::ZERO, |(_, free_for)| *free_for + watched);
            self.free.insert(owned.shard, (owned.epoch, free_for));
        }
    }

    /// What the store says this node owns is what it owns.
    fn adopt(&mut self, now: Duration, seen: &Ownership) {
        let mut held = BTreeMap::new();
        for owned in seen.lease_of(&self.node).shards {
            let known = self.holding.shards.get(&owned.shard).filter(|held| held.epoch == owned.epoch);
            let new = Held { epoch: owned.epoch, draining_since: self.is_stopping.then_some(now) };
            held.insert(owned.shard, known.copied().unwrap_or(new));
        }
        self.holding.shards = held;
    }

    /// How many shards each living node should own, with how many it owns: whoever owns more keeps what is left over.
    fn shares(&self, seen: &Ownership) -> Vec<(String, usize, usize)> {
        let is_alive = |node: &str| node == self.node || self.others.get(node).is_some_and(|other| other.is_alive(self.timing));
        let count = |node: &str| seen.shards.iter().filter(|row| row.holder.as_deref() == Some(node)).count();
        let mut nodes: Vec<(usize, &str)> =
            seen.nodes.iter().filter(|row| is_alive(&row.node)).map(|row| (count(&row.node), row.node.as_str())).collect();
        nodes.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
        let (base, left) = (seen.shards.len() / nodes.len().max(1), seen.shards.len() % nodes.len().max(1));
        let shares = (0..).zip(nodes).map(|(rank, (held, node))| (node.to_owned(), base + usize::from(rank < left), held));
        shares.collect()
    }

    /// Begins to drain as many shards as others lack, those first that nothing is under way in.
    fn drain_surplus(&mut self, now: Duration, seen: &Ownership) {
        let shares = self.shares(seen);
        let share = shares.iter().find(|(node, ..)| *node == self.node).map_or(usize::MAX, |(_, share, _)| *share);
        let lacking: usize = shares.iter().map(|(_, share, held)| share.saturating_sub(*held)).sum();
        let free = self.free.len();
        let draining = self.holding.shards.values().filter(|held| held.draining_since.is_some()).count();
        let surplus = self.holding.shards.len().saturating_sub(share).min(lacking.saturating_sub(free));
        if now < self.rest_until || surplus <= draining {
            return;
        }
        let mut kept: Vec<Shard> =
            self.holding.shards.iter().filter(|(_, held)| held.draining_since.is_none()).map(|(shard, _)| *shard).collect();
        kept.sort_by_key(|shard| (self.busy.contains(shard), *shard));
        for shard in kept.into_iter().take(surplus - draining) {
            if let Some(held) = self.holding.shards.get_mut(&shard) {
                held.draining_since = Some(now);
            }
        }
    }

    /// Free shards up to this node's share, and those that nobody else takes.
    fn wanted(&self, seen: &Ownership) -> Vec<OwnedShard> {
        let shares = self.shares(seen);
        let share = shares.iter().find(|(node, ..)| *node == self.node).map_or(0, |(_, share, _)| *share);
        let mut free: Vec<_> =
            self.free.iter().map(|(shard, (epoch, free_for))| (OwnedShard { shard: *shard, epoch: *epoch }, *free_for)).collect();
        // Each node begins elsewhere, so that they seldom want the same.
        if !free.is_empty() {
            let begin = hence_core::spread::seed_of(&self.node) % free.len() as u64;
            free.rotate_left(usize::try_from(begin).unwrap_or(0));
        }
        let room = share.saturating_sub(self.holding.shards.len());
        let mut wanted: Vec<OwnedShard> = free.iter().take(room).map(|(owned, _)| *owned).collect();
        wanted.extend(free.iter().skip(room).filter(|(_, free_for)| *free_for > FREE_MAX).map(|(owned, _)| *owned));
        wanted
    }
}

impl Watched {
    fn is_dead(&self, timing: Timing) -> bool {
        match self.life {
            Life::Gone => true,
            Life::Alive => false,
            Life::Unknown => self.still_for >= timing.takeover,
        }
    }

    /// Whether it counts when shards are shared out.
    fn is_alive(&self, timing: Timing) -> bool {
        self.has_moved && !self.is_leaving && self.life != Life::Gone && self.still_for < timing.lease
    }
}

impl Holding {
    /// What may be started in at `now`, as a lease of that node; nothing once the time is over.
    pub fn lease(&self, now: Duration, node: &str) -> Lease {
        let is_in_time = now < self.until;
        let active = self.shards.iter().filter(|(_, held)| is_in_time && held.draining_since.is_none());
        let shards = active.map(|(shard, held)| OwnedShard { shard: *shard, epoch: held.epoch }).collect();
        Lease { node: node.to_owned(), shards }
    }

    /// All that is owned, for writing down what came of attempts: the store says whether it still is.
    pub fn all(&self, node: &str) -> Lease {
        let shards = self.shards.iter().map(|(shard, held)| OwnedShard { shard: *shard, epoch: held.epoch }).collect();
        Lease { node: node.to_owned(), shards }
    }

    /// Whether a side effect under that epoch may begin at `now`.
    pub fn permit(&self, now: Duration, owned: OwnedShard) -> Permit {
        match self.shards.get(&owned.shard) {
            Some(held) if held.epoch != owned.epoch => Permit::Never,
            Some(_) if now < self.until => Permit::Now,
            Some(_) => Permit::NotYet,
            None => Permit::Never,
        }
    }
}

/// Whether a side effect may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// It may.
    Now,
    /// The last renewal is too old; the next one decides.
    NotYet,
    /// The shard is another's.
    Never,
}

#[cfg(test)]
mod tests;
