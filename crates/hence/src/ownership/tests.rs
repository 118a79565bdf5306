//! Goal: never two owners at once, whatever is paused, delayed or lost; and everything owned and shared out once that ends. Method: the
//! decisions of several nodes, carried out on the memory store one call at a time, by clocks that run differently; a seed repeats a run.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use hence_store::MemoryStore;
use hence_store::Store;
use hence_store::port::Beat;
use jiff::Timestamp;

use super::*;

const SHARDS: u16 = 8;

/// What a call on the memory store gives: it never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the memory store waits"),
    }
}

fn perform(store: &dyn Store, node: &str, action: Action, sent: Duration) -> Event {
    at_once(async {
        match action {
            Action::Beat { number, is_leaving } => {
                let beat = Beat { node: node.to_owned(), number, at: Timestamp::UNIX_EPOCH, is_leaving, notice: None };
                Event::Beaten { sent, seen: store.beat(&beat).await.unwrap() }
            }
            Action::Look => Event::Looked { seen: store.ownership().await.unwrap() },
            Action::Forget { node, beat } => {
                store.forget(&node, beat).await.unwrap();
                Event::Forgotten
            }
            Action::Take(seen) => Event::Taken { shards: store.take(node, &seen).await.unwrap() },
            Action::Release(shards) => {
                store.release(&Lease { node: node.to_owned(), shards }).await.unwrap();
                Event::Released
            }
            Action::Leave { beat } => {
                store.forget(node, beat).await.unwrap();
                Event::Left
            }
            Action::Wait { .. } | Action::Stop => panic!("no call"),
        }
    })
}

/// One node of a cluster on one store.
struct Node {
    owner: Owner,
    /// Thousandths that its clock runs faster than real time, and where it began.
    rate: i64,
    offset: u64,
    actions: std::collections::VecDeque<Action>,
    waits_until: u64,
    paused_until: u64,
    call: Option<Call>,
    busy: BTreeSet<Shard>,
    has_left: bool,
}

/// A call under way: carried out when it arrives, answered later; or lost, before or after.
struct Call {
    action: Action,
    sent: Duration,
    arrives_at: Option<u64>,
    event: Option<Event>,
    answered_at: u64,
}

struct Cluster {
    store: MemoryStore,
    nodes: Vec<Node>,
    timing: Timing,
    dice: fastrand::Rng,
    /// Real time in milliseconds.
    now: u64,
    has_faults: bool,
}

impl Cluster {
    fn new(seed: u64, nodes: usize, timing: Timing) -> Self {
        let store = MemoryStore::with_shards(SHARDS);
        let mut this = Self { store, nodes: Vec::new(), timing, dice: fastrand::Rng::with_seed(seed), now: 0, has_faults: true };
        for _ in 0..nodes {
            this.join();
        }
        this
    }

    fn join(&mut self) {
        let owner = Owner::new(format!("node {}", self.nodes.len()), self.timing);
        let (rate, offset) = (self.dice.i64(-20..=20), self.dice.u64(0..1_000_000));
        self.nodes.push(Node {
            owner,
            rate,
            offset,
            actions: std::collections::VecDeque::new(),
            waits_until: 0,
            paused_until: 0,
            call: None,
            busy: BTreeSet::new(),
            has_left: false,
        });
    }

    /// Lets a step of up to 100 ms go by.
    fn step(&mut self) {
        self.now += self.dice.u64(1..100);
        for index in 0..self.nodes.len() {
            self.fault(index);
            self.arrive(index);
            if self.nodes[index].paused_until <= self.now && !self.nodes[index].has_left {
                self.run(index);
            }
        }
        self.check();
    }

    fn run_for(&mut self, millis: u64) {
        let until = self.now + millis;
        while self.now < until {
            self.step();
        }
    }

    fn fault(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if self.has_faults && node.paused_until <= self.now && self.dice.u32(0..400) == 0 {
            node.paused_until = self.now + self.dice.u64(0..60_000);
        }
        if self.has_faults && self.dice.u32(0..20) == 0 {
            let shard = Shard(self.dice.u16(0..SHARDS));
            // Work begins only where it may, and ends when it likes.
            let may_begin = node.owner.holding().lease(node.clock(self.now), "").epoch(shard).is_some();
            if !node.busy.remove(&shard) && may_begin {
                node.busy.insert(shard);
            }
        }
    }

    /// The call reaches the store, also while the node is paused.
    fn arrive(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let Some(call) = node.call.as_mut().filter(|call| call.arrives_at.is_some_and(|at| at <= self.now)) else { return };
        call.arrives_at = None;
        let event = perform(&self.store, node.owner.node(), call.action.clone(), call.sent);
        call.event = if self.has_faults && self.dice.u32(0..10) == 0 { None } else { Some(event) };
    }

    fn run(&mut self, index: usize) {
        let delays = if self.has_faults { 0..4000 } else { 0..20 };
        let (there, back) = (self.dice.u64(delays.clone()), self.dice.u64(delays));
        let is_lost = self.has_faults && self.dice.u32(0..10) == 0;
        let now = self.now;
        let node = &mut self.nodes[index];
        let clock = node.clock(now);
        if let Some(call) = node.call.take_if(|call| call.answered_at <= now) {
            let follow = node.owner.on_event(clock, call.event.unwrap_or(Event::Failed));
            for action in follow.into_iter().rev() {
                node.actions.push_front(action);
            }
        }
        if node.call.is_some() || node.waits_until > now {
            return;
        }
        if node.actions.is_empty() {
            node.actions = node.owner.on_event(clock, Event::Woke { busy: node.busy.clone() }).into();
        }
        match node.actions.pop_front() {
            Some(Action::Wait { at_most }) => node.waits_until = now + u64::try_from(at_most.as_millis()).unwrap(),
            Some(Action::Stop) => node.has_left = true,
            Some(action) => {
                let arrives_at = (!is_lost).then_some(now + there);
                node.call = Some(Call { action, sent: clock, arrives_at, event: None, answered_at: now + there + back });
            }
            None => {}
        }
    }

    /// Whoever may act on a shard is its owner for the store too.
    fn violation(&self) -> Option<String> {
        let stored = at_once(self.store.ownership()).unwrap();
        for node in self.nodes.iter().filter(|node| node.paused_until <= self.now) {
            for (shard, held) in &node.owner.holding().shards {
                let owned = OwnedShard { shard: *shard, epoch: held.epoch };
                let may = node.owner.holding().permit(node.clock(self.now), owned) == Permit::Now;
                let row = &stored.shards[usize::from(shard.0)];
                if may && (row.holder.as_deref() != Some(node.owner.node()) || row.epoch != held.epoch) {
                    return Some(format!(
                        "at {} ms {} may act on {shard}, which is stored as {row:?}",
                        self.now,
                        node.owner.node()
                    ));
                }
            }
        }
        None
    }

    fn check(&self) {
        assert_eq!(self.violation(), None);
    }

    /// How many shards each living node owns.
    fn owned(&self) -> Vec<usize> {
        self.nodes.iter().filter(|node| !node.has_left).map(|node| node.owner.holding().shards.len()).collect()
    }

    fn settle(&mut self) {
        self.has_faults = false;
        for node in &mut self.nodes {
            node.paused_until = node.paused_until.min(self.now);
            node.busy.clear();
        }
        // What is under way, a takeover, a share that is given back, and a rest after a drain that failed.
        self.run_for(120_000);
    }
}

impl Node {
    fn clock(&self, now: u64) -> Duration {
        let shown = i64::try_from(now).unwrap() * (1000 + self.rate) / 1000;
        Duration::from_millis(shown.unsigned_abs() + self.offset)
    }
}

#[test]
fn never_two_owners_and_all_is_shared_out_once_faults_end() {
    for seed in 0..24 {
        let count = 1 + usize::try_from(seed % 4).unwrap();
        let mut cluster = Cluster::new(seed, count, Timing::default());
        cluster.run_for(300_000);
        cluster.settle();
        let mut owned = cluster.owned();
        owned.sort_unstable();
        let (least, most) = (owned[0], owned[count - 1]);
        assert_eq!(owned.iter().sum::<usize>(), usize::from(SHARDS), "seed {seed}: {owned:?}");
        assert!(most - least <= 1, "seed {seed}: {owned:?}");
    }
}

#[test]
fn a_takeover_before_the_lease_has_ended_is_found() {
    let unsafe_timing = Timing { takeover: Duration::from_secs(1), ..Timing::default() };
    assert!(unsafe_timing.checked().is_err());
    let is_found = (0..20).any(|seed| {
        let mut cluster = Cluster::new(seed, 3, unsafe_timing);
        (0..4000).any(|_| {
            cluster.now += 50;
            for index in 0..3 {
                cluster.fault(index);
                cluster.arrive(index);
                if cluster.nodes[index].paused_until <= cluster.now {
                    cluster.run(index);
                }
            }
            cluster.violation().is_some()
        })
    });
    assert!(is_found, "the check of this test finds what it is for");
}

/// The cluster at rest, without faults.
fn calm(nodes: usize) -> Cluster {
    let mut cluster = Cluster::new(7, nodes, Timing::default());
    cluster.has_faults = false;
    cluster.run_for(10_000);
    cluster
}

/// Real milliseconds until what is asked for holds.
fn time_until(cluster: &mut Cluster, holds: impl Fn(&Cluster) -> bool) -> u64 {
    let from = cluster.now;
    while !holds(cluster) {
        assert!(cluster.now - from < 300_000, "{:?}", cluster.owned());
        cluster.step();
    }
    cluster.now - from
}

#[test]
fn a_node_that_joins_gets_its_share_soon() {
    let mut cluster = calm(2);
    assert_eq!(cluster.owned(), [4, 4]);
    cluster.join();
    let took = time_until(&mut cluster, |cluster| cluster.owned()[2] == 2 && cluster.owned().iter().sum::<usize>() == 8);
    assert!(took < 6_000, "{took} ms");
}

#[test]
fn a_node_that_leaves_hands_over_within_a_second() {
    let mut cluster = calm(2);
    let now = cluster.nodes[0].clock(cluster.now);
    cluster.nodes[0].owner.on_event(now, Event::StopAsked);
    let took = time_until(&mut cluster, |cluster| cluster.nodes[0].has_left && cluster.owned() == [8]);
    assert!(took <= 1_500, "{took} ms, of which half a second is the wait that a real node cuts short");
}

#[test]
fn a_dead_node_is_replaced_within_sixteen_seconds_and_a_paused_one_comes_back() {
    let mut cluster = calm(2);
    cluster.nodes[0].paused_until = cluster.now + 100_000;
    let took = time_until(&mut cluster, |cluster| cluster.owned()[1] == 8);
    assert!((11_000..=16_000).contains(&took), "{took} ms");
    time_until(&mut cluster, |cluster| cluster.owned() == [4, 4]);
}

#[test]
fn a_store_that_was_away_takes_nobody_for_dead() {
    let mut cluster = calm(3);
    let before: Vec<_> = cluster.nodes.iter().map(|node| node.owner.holding().shards.clone()).collect();
    // Nobody can beat or look for ten minutes; then one is first.
    for node in &mut cluster.nodes {
        node.waits_until = cluster.now + 600_000;
        node.call = None;
    }
    cluster.nodes[2].waits_until -= 3_000;
    cluster.now += 597_000;
    cluster.run_for(30_000);
    let after: Vec<_> = cluster.nodes.iter().map(|node| node.owner.holding().shards.clone()).collect();
    assert_eq!(after, before);
}

#[test]
fn ownership_that_flaps_leaves_nothing_behind() {
    let store = MemoryStore::with_shards(2);
    let mut owner = Owner::new("one".to_owned(), Timing::default());
    let mut now = Duration::ZERO;
    let mut old: Option<OwnedShard> = None;
    for round in 0..10_000_u32 {
        now += Duration::from_millis(500);
        let mut actions = std::collections::VecDeque::from(owner.on_event(now, Event::Woke { busy: BTreeSet::new() }));
        while let Some(action) = actions.pop_front() {
            if !matches!(action, Action::Wait { .. }) {
                actions.extend(owner.on_event(now, perform(&store, "one", action, now)));
            }
        }
        let lease = at_once(store.ownership()).unwrap().lease_of("one");
        assert_eq!(owner.holding().all("one"), lease, "round {round}");
        if let Some(old) = old {
            assert_eq!(owner.holding().permit(now, old), Permit::Never, "round {round}");
        }
        old = lease.shards.first().copied();
        // Another has it forgotten and takes the first shard, and gives it back.
        let beat = at_once(store.ownership()).unwrap().node("one").map_or(0, |row| row.beat);
        perform(&store, "two", Action::Beat { number: 1, is_leaving: false }, now);
        at_once(store.forget("one", beat)).unwrap();
        let free: Vec<_> = at_once(store.ownership()).unwrap().free().take(1).collect();
        let shards = at_once(store.take("two", &free)).unwrap();
        owner.on_event(now, perform(&store, "one", Action::Look, now));
        assert_eq!(owner.holding(), &Holding::default(), "round {round}: what is lost is dropped at once");
        at_once(store.release(&Lease { node: "two".to_owned(), shards })).unwrap();
        at_once(store.forget("two", 1)).unwrap();
    }
}

#[test]
fn a_shard_is_given_back_only_at_rest_and_kept_when_it_never_rests() {
    let mut cluster = calm(1);
    cluster.nodes[0].busy = (0..SHARDS).map(Shard).collect();
    cluster.join();
    // All of them are busy: none is given.
    let until = cluster.now + 20_000;
    while cluster.now < until {
        cluster.nodes[0].busy = (0..SHARDS).map(Shard).collect();
        cluster.step();
        assert_eq!(cluster.owned()[0], 8);
    }
    let lease = cluster.nodes[0].owner.holding().lease(cluster.nodes[0].clock(cluster.now), "");
    assert_eq!(lease.shards.len(), 8, "after a while it starts in all of them again");
}

#[test]
fn unsafe_timings_are_refused() {
    let check = |lease: u64, renew: u64, takeover: u64, expected: &str| {
        let timing = Timing {
            lease: Duration::from_secs(lease),
            renew: Duration::from_secs(renew),
            takeover: Duration::from_secs(takeover),
        };
        let found = timing.checked().err().map_or_else(String::new, |error| error.to_string());
        assert_eq!(found, expected);
    };
    check(10, 2, 14, "");
    check(10, 2, 13, "`takeover` is 13s; it must be at least `lease` and twice `renew`, 14s");
    check(5, 2, 14, "`lease` is 5s; it must be at least three times `renew`, 2s");
    check(10, 0, 14, "`renew` is 0ns; it must be from 0.1 s to 60 s");
    check(600, 61, 900, "`renew` is 61s; it must be from 0.1 s to 60 s");
}
