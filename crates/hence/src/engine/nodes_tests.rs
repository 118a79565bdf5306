//! Goal: several engines on one store do each thing once, whatever happens to one of them. Method: real engines on a memory store and on
//! a PostgreSQL database, on machines whose time is stepped; a machine can be frozen as a stopped process is, dropped as a killed one, or
//! cut off. Nothing sleeps.

mod machine;
mod wire;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hence_core::name::EntityKey;
use hence_dispatch::{Dispatchers, HandlerReply, Handlers};
use hence_servers::postgres::Server;
use hence_store::port::{HistoryFilter, Ownership, PageRequest};
use hence_store::postgres::{PostgresOptions, PostgresStore};
use hence_store::{MemoryStore, OpenMode, Store};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::machine::{Machine, Time};
use self::wire::Wire;
use crate::client::{Client, Enrolment, Telling};
use crate::engine::{Engine, EngineOptions};
use crate::facts::{FactReader, FactReaders};
use crate::host::{Host, Spawned};

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

/// How many shards a store has here.
const SHARDS: u16 = 8;

struct World {
    time: Arc<Time>,
    place: Place,
    /// The store as nobody's machine has it.
    store: Arc<dyn Store>,
    calls: Calls,
    /// How long a call takes.
    takes: Duration,
}

enum Place {
    Memory(MemoryStore),
    /// By its address.
    Postgres(String),
}

struct Node {
    machine: Machine,
    client: Client,
    database: Database,
    stop: CancellationToken,
    running: Option<Spawned>,
    has_ended: Arc<AtomicBool>,
}

impl Place {
    /// The store as another process has it.
    async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => Arc::new(store.another()),
            Self::Postgres(url) => {
                let mut options = PostgresOptions::new(OpenMode::Create);
                (options.shards, options.connections_max) = (SHARDS, 4);
                Arc::new(PostgresStore::open(url, options).await.unwrap())
            }
        }
    }
}

impl World {
    async fn at(place: Place) -> Self {
        let store = place.open().await;
        World { time: Arc::default(), place, store, calls: Calls::default(), takes: Duration::ZERO }
    }

    async fn in_memory() -> Self {
        Self::at(Place::Memory(MemoryStore::with_shards(SHARDS))).await
    }

    /// One of each kind of store that many processes share.
    async fn of_each_kind() -> [Self; 2] {
        let database = Server::shared().unwrap().new_database().unwrap();
        [Self::in_memory().await, Self::at(Place::Postgres(database.url)).await]
    }

    async fn join(&self, name: &'static str) -> Node {
        let machine = Machine::new(&self.time, name);
        let store = Arc::new(Wire { machine: machine.clone(), store: self.place.open().await });
        let database = Database::default();
        let readers = FactReaders::default().with_database("app", Arc::new(database.clone()));
        let client = Client::open_on(Arc::new(machine.clone()), store, readers, ("test", Arc::default())).await.unwrap();
        client.put_definition(DEFINITION).await.unwrap();
        let (calls, caller, takes) = (Arc::clone(&self.calls), machine.clone(), self.takes);
        let handlers = Handlers::new().on("ring", move |context: hence_dispatch::HandlerContext, _: Value| {
            let attempt = context.attempt;
            calls.lock().unwrap().push((name, attempt.entity_id.clone(), attempt.possible_duplicate));
            let answer = caller.wait(takes);
            async move {
                if !takes.is_zero() {
                    answer.await;
                }
                Ok(HandlerReply::done())
            }
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

    async fn run_for(&self, span: Duration) {
        self.time.run_for(span).await;
    }

    async fn seconds(&self, seconds: u64) {
        self.run_for(Duration::from_secs(seconds)).await;
    }

    /// Enrols that many accounts, to be called in so many seconds from now.
    async fn enrol(&self, by: &Node, names: std::ops::Range<u32>, seconds: i64) {
        let at = by.machine.wall() + SignedDuration::from_secs(seconds);
        let telling = |name: u32| {
            let entity: EntityKey = format!("account/{name}").parse().unwrap();
            Telling::enrol(Enrolment::new("call".parse().unwrap(), entity).given("at".parse().unwrap(), at))
        };
        by.client.tell_many(names.map(telling).collect()).await.unwrap();
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
        let mut request = PageRequest::first(500);
        let mut kinds = Vec::new();
        loop {
            let page = self.store.history(&HistoryFilter::default(), request.clone()).await.unwrap();
            kinds.extend(page.items.iter().map(|row| row.record.kind.as_str()));
            request.after = page.next;
            if request.after.is_none() {
                return kinds;
            }
        }
    }
}

impl Database {
    fn open(&self) {
        self.1.store(false, Ordering::SeqCst);
        self.0.notify_waiters();
    }
}

impl Node {
    fn kill(&mut self) {
        self.running = None;
    }
}

#[tokio::test]
async fn two_and_then_three_engines_share_the_work_and_do_each_thing_once() {
    for world in World::of_each_kind().await {
        let one = world.join("one").await;
        world.seconds(3).await;
        assert_eq!(world.shares().await, [8]);
        let two = world.join("two").await;
        world.seconds(6).await;
        assert_eq!(world.shares().await, [4, 4], "joining brings a fair share");
        world.enrol(&one, 0..30, 3).await;
        world.enrol(&two, 30..60, 3).await;
        world.seconds(5).await;
        assert_eq!(world.called(), (60, BTreeSet::from(["one", "two"])));
        let three = world.join("three").await;
        world.seconds(6).await;
        assert_eq!(world.shares().await, [3, 3, 2]);
        world.enrol(&three, 60..120, 1).await;
        world.seconds(3).await;
        assert_eq!(world.called(), (60, BTreeSet::from(["one", "two", "three"])));
    }
}

#[tokio::test]
async fn a_node_that_stops_hands_over_within_a_second() {
    for world in World::of_each_kind().await {
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
}

#[tokio::test]
async fn a_rolling_restart_under_load_does_each_thing_once_and_in_time() {
    for mut world in World::of_each_kind().await {
        // So that something is under way whenever a node is asked to stop.
        world.takes = Duration::from_millis(700);
        let mut nodes = Vec::new();
        for name in ["one", "two", "three"] {
            nodes.push(world.join(name).await);
        }
        world.seconds(10).await;
        let mut next = 0;
        for new in ["four", "five", "six"] {
            let old = nodes.remove(0);
            for part in 0..16 {
                if part == 2 {
                    old.stop.cancel();
                }
                if part == 8 {
                    assert!(old.has_ended.load(Ordering::SeqCst), "it ends once its attempts have");
                    nodes.push(world.join(new).await);
                }
                world.enrol(&nodes[0], next..next + 5, 0).await;
                next += 5;
                world.run_for(Duration::from_millis(250)).await;
            }
        }
        // What waits for a shard that goes over: until its attempts have ended, and a second.
        world.seconds(3).await;
        let calls = world.calls();
        assert!(calls.iter().all(|(_, _, possible_duplicate)| !possible_duplicate), "{calls:?}");
        let names: BTreeSet<_> = calls.iter().map(|(_, name, _)| name).collect();
        assert_eq!((calls.len(), names.len()), (240, 240), "each is called once: {calls:?}");
        let kinds = world.kinds().await;
        assert_eq!(kinds.iter().filter(|kind| **kind == "done").count(), 240);
        assert!(kinds.iter().all(|kind| *kind != "taken_over"), "{kinds:?}");
    }
}

#[tokio::test]
async fn a_killed_node_is_taken_over_within_sixteen_seconds() {
    for world in World::of_each_kind().await {
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
}

#[tokio::test]
async fn a_frozen_node_that_wakes_sends_nothing_and_writes_nothing() {
    for world in World::of_each_kind().await {
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
        one.database.open();
        one.machine.freeze(false);
        world.seconds(20).await;
        assert_eq!(world.calls(), []);
        assert_eq!(world.kinds().await, before);
        assert_eq!(world.shares().await, [4, 4], "it takes part again");
        world.enrol(&two, 100..150, 1).await;
        world.seconds(3).await;
        assert_eq!(world.called(), (50, BTreeSet::from(["one", "two"])));
    }
}

#[tokio::test]
async fn a_node_that_is_cut_off_sends_nothing_once_its_lease_is_over() {
    for world in World::of_each_kind().await {
        let one = world.join("one").await;
        world.seconds(2).await;
        one.database.1.store(true, Ordering::SeqCst);
        world.enrol(&one, 0..10, 1).await;
        world.seconds(3).await;
        let two = world.join("two").await;
        world.seconds(1).await;
        one.machine.is_cut.store(true, Ordering::SeqCst);
        // Nobody has taken over yet, but somebody might: it must not send any more.
        world.seconds(11).await;
        one.database.open();
        world.seconds(1).await;
        assert_eq!(world.calls(), []);
        world.seconds(4).await;
        let calls = world.calls();
        assert_eq!(calls.len(), 10, "{calls:?}");
        assert!(calls.iter().all(|(node, _, possible_duplicate)| *node == "two" && *possible_duplicate), "{calls:?}");
        let before = world.kinds().await;
        one.machine.is_cut.store(false, Ordering::SeqCst);
        world.seconds(10).await;
        assert_eq!(world.calls(), []);
        assert_eq!(world.kinds().await, before);
        assert_eq!(world.shares().await, [4, 4], "it takes part again");
        drop(two);
    }
}

#[tokio::test]
async fn a_node_whose_renewal_is_late_waits_with_what_it_was_to_send() {
    for world in World::of_each_kind().await {
        let one = world.join("one").await;
        world.seconds(2).await;
        one.database.1.store(true, Ordering::SeqCst);
        world.enrol(&one, 0..10, 1).await;
        world.seconds(3).await;
        one.machine.is_cut.store(true, Ordering::SeqCst);
        world.seconds(30).await;
        one.database.open();
        world.seconds(1).await;
        assert_eq!(world.calls(), [], "somebody else might have it");
        one.machine.is_cut.store(false, Ordering::SeqCst);
        world.seconds(2).await;
        // Nobody had: the beat says so, and nothing is repeated.
        assert_eq!(world.called(), (10, BTreeSet::from(["one"])));
        assert!(world.kinds().await.iter().all(|kind| *kind != "taken_over"));
    }
}

#[tokio::test]
async fn an_engine_that_begins_while_its_store_is_away_waits_for_it() {
    for world in World::of_each_kind().await {
        let one = world.join("one").await;
        // Nothing of it has run yet.
        one.machine.is_cut.store(true, Ordering::SeqCst);
        world.seconds(20).await;
        assert!(!one.has_ended.load(Ordering::SeqCst));
        one.machine.is_cut.store(false, Ordering::SeqCst);
        world.seconds(3).await;
        world.enrol(&one, 0..10, 1).await;
        world.seconds(3).await;
        assert_eq!(world.called(), (10, BTreeSet::from(["one"])));
    }
}

#[tokio::test]
async fn an_engine_survives_a_sleep_of_its_machine() {
    for world in World::of_each_kind().await {
        let one = world.join("one").await;
        world.seconds(2).await;
        one.machine.freeze(true);
        world.enrol(&one, 0..10, 60).await;
        world.seconds(600).await;
        one.machine.freeze(false);
        world.seconds(3).await;
        assert_eq!(world.called(), (10, BTreeSet::from(["one"])));
    }
}

#[tokio::test]
async fn a_clock_that_jumps_starts_nothing_early() {
    let world = World::in_memory().await;
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
    let world = World::in_memory().await;
    let one = world.join("one").await;
    world.seconds(2).await;
    world.enrol(&one, 0..5, 10).await;
    one.machine.skew.store(-600, Ordering::SeqCst);
    world.seconds(605).await;
    assert_eq!(world.calls(), []);
    world.seconds(10).await;
    assert_eq!(world.called().0, 5);
}
