//! Goal: several engines on one store do each thing once, whatever happens to one of them. Method: real engines and a memory store on
//! hosts whose time is stepped; a host can be frozen as a stopped process is, or dropped as a killed one. Nothing sleeps.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use hence_core::name::EntityKey;
use hence_dispatch::{Dispatchers, HandlerReply, Handlers};
use hence_store::port::{HistoryFilter, Ownership, PageRequest};
use hence_store::{MemoryStore, Store};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::client::{Client, Enrolment, Telling};
use crate::engine::{Engine, EngineOptions};
use crate::facts::{FactReader, FactReaders};
use crate::host::{Host, Spawned, Work};

const DEFINITION: &str = r#"
[timeline]
name = "call"
entity = "account"
anchor = "at"

[facts.account]
source = "app"
sql = "select plan from account where id = $1"
fields = { plan = "string" }

[step.ring]
when = "account.plan == 'trial'"
do = { handler = "ring" }
"#;

/// Time that goes on when the test says so.
#[derive(Default)]
struct Time {
    elapsed: Duration,
    waiting: Vec<(Duration, Waker)>,
}

/// A machine of its own in that time.
#[derive(Clone)]
struct Machine {
    time: Arc<Mutex<Time>>,
    /// Seconds that its wall clock is wrong by.
    skew: Arc<AtomicI64>,
    gate: Arc<Gate>,
    dice: Arc<Mutex<fastrand::Rng>>,
}

#[derive(Default)]
struct Gate {
    is_frozen: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

/// Work that stands still while its machine is frozen.
struct Gated {
    gate: Arc<Gate>,
    work: Work,
}

struct Until {
    time: Arc<Mutex<Time>>,
    at: Duration,
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.gate.is_frozen.load(Ordering::SeqCst) {
            self.gate.waiting.lock().unwrap().push(context.waker().clone());
            return Poll::Pending;
        }
        self.work.as_mut().poll(context)
    }
}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut time = self.time.lock().unwrap();
        if time.elapsed >= self.at {
            return Poll::Ready(());
        }
        time.waiting.push((self.at, context.waker().clone()));
        Poll::Pending
    }
}

impl Host for Machine {
    fn wall(&self) -> Timestamp {
        let began = Timestamp::from_second(1_800_000_000 + self.skew.load(Ordering::SeqCst)).unwrap();
        began + SignedDuration::try_from(self.elapsed()).unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.time.lock().unwrap().elapsed
    }

    fn wait(&self, span: Duration) -> Work {
        let at = self.elapsed() + span.max(Duration::from_millis(1));
        Box::pin(Until { time: Arc::clone(&self.time), at })
    }

    fn spawn(&self, work: Work) -> Spawned {
        let gated = Gated { gate: Arc::clone(&self.gate), work };
        Box::new(tokio_util::task::AbortOnDropHandle::new(tokio::spawn(gated)))
    }

    fn dice(&self) -> u64 {
        self.dice.lock().unwrap().u64(..)
    }
}

impl Machine {
    fn freeze(&self, is_frozen: bool) {
        self.gate.is_frozen.store(is_frozen, Ordering::SeqCst);
        for waker in self.gate.waiting.lock().unwrap().drain(..) {
            waker.wake();
        }
    }
}

/// The application's database: answers at once, or not before the door is opened.
#[derive(Clone, Default)]
struct Database(Arc<tokio::sync::Notify>, Arc<AtomicBool>);

#[async_trait]
impl FactReader for Database {
    async fn read(&self, _sql: &str, _entity_id: &str) -> Result<Option<serde_json::Map<String, Value>>, String> {
        while self.1.load(Ordering::SeqCst) {
            self.0.notified().await;
        }
        Ok(json!({ "plan": "trial" }).as_object().cloned())
    }
}

/// What was called: by which node, for whom, whether it may be a second time.
type Calls = Arc<Mutex<Vec<(&'static str, String, bool)>>>;

struct World {
    time: Arc<Mutex<Time>>,
    store: MemoryStore,
    calls: Calls,
}

struct Node {
    machine: Machine,
    client: Client,
    database: Database,
    stop: CancellationToken,
    running: Option<Spawned>,
    has_ended: Arc<AtomicBool>,
}

impl World {
    fn new() -> Self {
        World { time: Arc::default(), store: MemoryStore::with_shards(8), calls: Calls::default() }
    }

    async fn join(&self, name: &'static str) -> Node {
        self.join_on(name, Arc::new(self.store.another())).await
    }

    async fn join_on(&self, name: &'static str, store: Arc<dyn Store>) -> Node {
        let seed = name.bytes().fold(0, |seed, byte| seed * 256 + u64::from(byte));
        let machine = Machine {
            time: Arc::clone(&self.time),
            skew: Arc::default(),
            gate: Arc::default(),
            dice: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))),
        };
        let database = Database::default();
        let readers = FactReaders::default().with_database("app", Arc::new(database.clone()));
        let client = Client::open_on(Arc::new(machine.clone()), store, readers, "test").await.unwrap();
        client.put_definition(DEFINITION).await.unwrap();
        let calls = Arc::clone(&self.calls);
        let handlers = Handlers::new().on("ring", move |context: hence_dispatch::HandlerContext, _: Value| {
            let attempt = context.attempt;
            calls.lock().unwrap().push((name, attempt.entity_id.clone(), attempt.possible_duplicate));
            async { Ok(HandlerReply::done()) }
        });
        let engine = Engine::new(client.clone(), Dispatchers::new().with(Arc::new(handlers)), EngineOptions::default());
        let stop = CancellationToken::new();
        let has_ended = Arc::new(AtomicBool::new(false));
        let (told, token) = (Arc::clone(&has_ended), stop.clone());
        let running = machine.spawn(Box::pin(async move {
            engine.run(token).await.unwrap();
            told.store(true, Ordering::SeqCst);
        }));
        Node { machine, client, database, stop, running: Some(running), has_ended }
    }

    /// Lets time go by in small steps, and everybody do what is to be done at each.
    async fn run_for(&self, span: Duration) {
        let until = self.time.lock().unwrap().elapsed + span;
        while self.time.lock().unwrap().elapsed < until {
            let mut due = Vec::new();
            {
                let mut time = self.time.lock().unwrap();
                time.elapsed += Duration::from_millis(50);
                let now = time.elapsed;
                time.waiting.retain(|(at, waker)| {
                    let is_due = *at <= now;
                    if is_due {
                        due.push(waker.clone());
                    }
                    !is_due
                });
            }
            due.into_iter().for_each(Waker::wake);
            for _ in 0..30 {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn seconds(&self, seconds: u64) {
        self.run_for(Duration::from_secs(seconds)).await;
    }

    /// Enrols that many accounts, to be called in so many seconds from now.
    async fn enrol(&self, by: &Node, names: std::ops::Range<u32>, seconds: i64) {
        let at = by.machine.wall() + SignedDuration::from_secs(seconds);
        for name in names {
            let entity: EntityKey = format!("account/{name}").parse().unwrap();
            let enrolment = Enrolment::new("call".parse().unwrap(), entity).given("at".parse().unwrap(), at);
            by.client.tell(Telling::enrol(enrolment)).await.unwrap();
        }
    }

    fn calls(&self) -> Vec<(&'static str, String, bool)> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    /// Whoever was called, each name once, in order; and by which nodes.
    fn called(&self) -> (usize, BTreeSet<&'static str>) {
        let calls = self.calls();
        let names: BTreeSet<_> = calls.iter().map(|(_, name, _)| name.clone()).collect();
        assert_eq!(names.len(), calls.len(), "each is called once: {calls:?}");
        (calls.len(), calls.iter().map(|(node, ..)| *node).collect())
    }

    async fn ownership(&self) -> Ownership {
        self.store.ownership().await.unwrap()
    }

    /// How many shards each node owns, the most first; free ones are not counted.
    async fn shares(&self) -> Vec<usize> {
        let seen = self.ownership().await;
        let mut shares: Vec<_> = seen.nodes.iter().map(|row| seen.lease_of(&row.node).shards.len()).collect();
        shares.sort_unstable_by(|one, other| other.cmp(one));
        shares
    }

    async fn kinds(&self) -> Vec<&'static str> {
        let page = self.store.history(&HistoryFilter::default(), PageRequest::first(500)).await.unwrap();
        page.items.iter().map(|row| row.record.kind.as_str()).collect()
    }
}

impl Node {
    fn kill(&mut self) {
        self.running = None;
    }
}

#[tokio::test]
async fn two_engines_share_the_work_and_do_each_thing_once() {
    let world = World::new();
    let one = world.join("one").await;
    world.seconds(3).await;
    assert_eq!(world.shares().await, [8]);
    let two = world.join("two").await;
    world.seconds(6).await;
    assert_eq!(world.shares().await, [4, 4], "joining brings a fair share");
    world.enrol(&one, 0..60, 5).await;
    world.enrol(&two, 60..100, 5).await;
    world.seconds(10).await;
    assert_eq!(world.called(), (100, BTreeSet::from(["one", "two"])));
}

#[tokio::test]
async fn a_node_that_stops_hands_over_within_a_second() {
    let world = World::new();
    let one = world.join("one").await;
    let two = world.join("two").await;
    world.seconds(10).await;
    world.enrol(&two, 0..50, 1).await;
    one.stop.cancel();
    world.run_for(Duration::from_millis(1000)).await;
    assert!(one.has_ended.load(Ordering::SeqCst));
    assert_eq!(world.shares().await, [8]);
    world.run_for(Duration::from_millis(1000)).await;
    assert_eq!(world.called().0, 50);
    two.stop.cancel();
    world.seconds(1).await;
    assert!(two.has_ended.load(Ordering::SeqCst));
    assert_eq!(world.ownership().await.nodes, [], "the last one leaves nothing behind");
}

#[tokio::test]
async fn a_killed_node_is_taken_over_within_sixteen_seconds() {
    let world = World::new();
    let mut one = world.join("one").await;
    world.seconds(2).await;
    one.database.1.store(true, Ordering::SeqCst);
    world.enrol(&one, 0..10, 1).await;
    world.seconds(3).await;
    assert_eq!(world.calls(), [], "its attempts are under way and have sent nothing");
    let two = world.join("two").await;
    one.kill();
    world.seconds(13).await;
    assert_eq!(world.calls(), []);
    world.seconds(3).await;
    let calls = world.calls();
    assert_eq!(calls.len(), 10, "{calls:?}");
    assert!(calls.iter().all(|(node, _, possible_duplicate)| *node == "two" && *possible_duplicate), "{calls:?}");
    assert_eq!(world.kinds().await.iter().filter(|kind| **kind == "done").count(), 10);
    drop(two);
}

#[tokio::test]
async fn a_frozen_node_that_wakes_sends_nothing_and_writes_nothing() {
    let world = World::new();
    let one = world.join("one").await;
    world.seconds(2).await;
    one.database.1.store(true, Ordering::SeqCst);
    world.enrol(&one, 0..10, 1).await;
    world.seconds(3).await;
    let two = world.join("two").await;
    one.machine.freeze(true);
    world.seconds(20).await;
    let done = world.calls();
    assert_eq!(done.len(), 10);
    assert!(done.iter().all(|(node, ..)| *node == "two"));
    let before = world.kinds().await;
    // The facts come in the very moment it wakes: its attempts go on before it hears that it lost everything.
    one.database.1.store(false, Ordering::SeqCst);
    one.database.0.notify_waiters();
    one.machine.freeze(false);
    world.seconds(20).await;
    assert_eq!(world.calls(), []);
    assert_eq!(world.kinds().await, before);
    assert_eq!(world.shares().await, [4, 4], "it takes part again");
    world.enrol(&two, 100..150, 1).await;
    world.seconds(3).await;
    assert_eq!(world.called(), (50, BTreeSet::from(["one", "two"])));
}

#[tokio::test]
async fn an_engine_survives_a_sleep_of_its_machine() {
    let world = World::new();
    let one = world.join("one").await;
    world.seconds(2).await;
    one.machine.freeze(true);
    world.enrol(&one, 0..10, 60).await;
    world.seconds(600).await;
    one.machine.freeze(false);
    world.seconds(3).await;
    assert_eq!(world.called(), (10, BTreeSet::from(["one"])));
}

#[tokio::test]
async fn a_clock_that_jumps_starts_nothing_early() {
    let world = World::new();
    let one = world.join("one").await;
    world.seconds(2).await;
    world.enrol(&one, 0..10, 24 * 3600).await;
    one.machine.skew.store(48 * 3600, Ordering::SeqCst);
    world.seconds(30).await;
    assert_eq!(world.calls(), []);
    let notice = world.ownership().await.nodes[0].notice.clone();
    assert!(notice.is_some_and(|notice| notice.contains("the clock jumped by")), "it says so");
    one.machine.skew.store(0, Ordering::SeqCst);
    world.seconds(5).await;
    assert_eq!(world.ownership().await.nodes[0].notice, None);
    assert_eq!(world.calls(), []);
    // A jump that stays is believed after a minute.
    one.machine.skew.store(48 * 3600, Ordering::SeqCst);
    world.seconds(59).await;
    assert_eq!(world.calls(), []);
    world.seconds(3).await;
    assert_eq!(world.called().0, 10);
}

#[tokio::test]
async fn a_clock_that_is_set_back_delays_by_no_more_than_the_step() {
    let world = World::new();
    let one = world.join("one").await;
    world.seconds(2).await;
    world.enrol(&one, 0..5, 10).await;
    one.machine.skew.store(-600, Ordering::SeqCst);
    world.seconds(605).await;
    assert_eq!(world.calls(), []);
    world.seconds(10).await;
    assert_eq!(world.called().0, 5);
}
