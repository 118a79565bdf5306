//! One run of one seed: processes begin, things are told, faults strike; then faults stop, and everything must have come.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hence::{Client, Engine, EngineOptions, FactReaders, Store};
use hence_core::definition::Definition;
use hence_core::library::Library;
use hence_core::sabotage::{self, Bug};
use hence_dispatch::Dispatchers;
use hence_store::MemoryStore;
use hence_store::port::{PageRequest, StoredDefinition, UpcomingFilter};
use jiff::SignedDuration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::executor::{OUTSIDE, Process};
use crate::ledger::{Breach, Stored};
use crate::receiver::{Application, Receivers};
use crate::store::FaultyStore;
use crate::story::{Teller, definition};
use crate::world::{SimulatedHost, World};

/// How long after the faults, and after the last wish was carried out, the end is judged: the grace of 60 s, and time for what was begun
/// just before.
const QUIET: Duration = Duration::from_secs(100);
/// The longest that wishes wait whose facts could not be read.
const POSTPONED_MAX: Duration = Duration::from_secs(300);
/// After how many steps the store is compared with the ledger.
const COMPARED_AT_EACH: u64 = 500;
/// The longest pause of a process; the lease is 10 s.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How a seed is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The most steps before faults stop.
    pub steps_max: u64,
    /// A failure of the bank to run with.
    pub bug: Option<Bug>,
    /// How many lines of the trace are kept.
    pub lines_kept: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { steps_max: 20_000, bug: None, lines_kept: 250 }
    }
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Of which seed.
    pub seed: u64,
    /// The first breach.
    pub breach: Option<Breach>,
    /// The hash of everything that happened, in order.
    pub hash: u64,
    /// Polls and ends of waits.
    pub steps: u64,
    /// Changes that were committed.
    pub commits: u64,
    /// How much time was simulated.
    pub simulated: Duration,
    /// The last lines of the trace.
    pub lines: Vec<String>,
}

/// A node that runs: its process, and how it is asked to stop.
type Node = (Process, CancellationToken);

struct Play {
    world: Arc<World>,
    store: Arc<MemoryStore>,
    nodes: Arc<Mutex<Vec<Option<Node>>>>,
}

/// Runs a seed.
pub fn run(seed: u64, options: Options) -> Outcome {
    sabotage::plant(options.bug);
    let play = Play::new(seed, options.lines_kept);
    // With a failure planted the product's own assertions may strike first; that counts as found.
    let ran = catch_unwind(AssertUnwindSafe(|| play.run(options)));
    sabotage::plant(None);
    let outcome = play.outcome(seed);
    match ran {
        Ok(()) => outcome,
        Err(panic) => {
            let text =
                panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let breach = Breach { rule: "panic", text: text.unwrap_or_default() };
            Outcome { breach: Some(outcome.breach.clone().unwrap_or(breach)), ..outcome }
        }
    }
}

/// The answer of something that never waits, such as the memory store.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("the memory store answers at once"),
    }
}

impl Play {
    fn new(seed: u64, lines_kept: usize) -> Self {
        let world = World::new(seed, lines_kept);
        let shards = world.with(|state| state.swarm.shards);
        Self { world, store: Arc::new(MemoryStore::with_shards(shards)), nodes: Arc::default() }
    }

    fn run(&self, options: Options) {
        self.prepare();
        let (nodes, tellers) = self.world.with(|state| (state.swarm.nodes, state.swarm.tellers));
        self.world.note(&self.world.with(|state| format!("{:?}", state.swarm)));
        for slot in 0..nodes {
            self.nodes.lock().unwrap_or_else(PoisonError::into_inner).push(None);
            self.begin(keep_node(Arc::clone(&self.world), Arc::clone(&self.store), Arc::clone(&self.nodes), slot));
        }
        for _ in 0..tellers {
            self.begin(tell(Arc::clone(&self.world), Arc::clone(&self.store)));
        }
        self.begin(strike(Arc::clone(&self.world), Arc::clone(&self.nodes)));
        let span = self.world.with(|state| state.swarm.span);
        self.until(|play| play.world.executor.now() >= span || play.world.executor.steps() >= options.steps_max);
        self.world.note("faults stop");
        self.world.with(|state| state.is_quiet = true);
        self.world.executor.resume_all();
        let quiet_at = self.world.executor.now();
        // Instants that were reckoned by a clock that was set back afterwards come later by as much (G7).
        let wall = self.world.wall();
        let set_back = self.world.with(|state| state.ledger.shown_max().duration_since(wall));
        let end = quiet_at + POSTPONED_MAX + Duration::try_from(set_back).unwrap_or_default() + 2 * QUIET;
        self.until(|play| {
            let now = play.world.executor.now();
            let settled_at = play.world.with(|state| state.ledger.settled_at());
            now >= end || settled_at.is_some_and(|settled_at| now >= quiet_at.max(settled_at) + QUIET)
        });
        let stored = self.stored();
        self.world.observe(|_, moment, trace| trace.note(moment.at, "the end"));
        let told = self.world.with(|state| state.told.clone());
        self.world.observe(|ledger, moment, _| ledger.close(moment, &stored, &told));
    }

    fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.world.executor.begin(OUTSIDE, Box::pin(work));
    }

    /// Steps until `is_over`, a breach, or nothing is left to happen.
    fn until(&self, is_over: impl Fn(&Self) -> bool) {
        while !is_over(self) && self.world.with(|state| state.ledger.breach().is_none()) {
            let mut dice = self.world.with(|state| state.dice.fork());
            if !self.world.executor.step(&mut dice) {
                return;
            }
            let (steps, now) = (self.world.executor.steps(), self.world.executor.now());
            self.world.with(|state| state.trace.mix(u64::try_from(now.as_micros()).unwrap_or(0)));
            if steps.is_multiple_of(COMPARED_AT_EACH) {
                let live = self.live();
                self.world.with(|state| state.ledger.compare(&live));
            }
        }
    }

    /// Puts the definitions, and lets the ledger know them and the limits.
    fn prepare(&self) {
        let mut library = Library::default();
        for name in ["one", "two"] {
            let source = self.world.with(|state| definition(&mut state.dice, name));
            let loaded = Definition::load(&source).unwrap_or_else(|problems| panic!("{source}\n{problems:?}"));
            let definition = Arc::new(loaded.definition);
            let stored = StoredDefinition {
                hash: definition.hash.clone(),
                name: definition.name.clone(),
                source,
                created_at: self.world.wall(),
                is_current: true,
            };
            at_once(self.store.put_definition(stored)).expect("the memory store keeps definitions");
            library.add(Arc::clone(&definition));
            self.world.with(|state| state.ledger.definitions.insert(definition.hash.clone(), definition));
        }
        self.world.with(|state| {
            state.library = Arc::new(library);
            state.ledger.limits = (state.swarm.attempts_max, state.swarm.catch_up);
            state.ledger.shards = state.swarm.shards;
        });
    }

    fn live(&self) -> Vec<hence_core::task::Task> {
        at_once(self.store.upcoming(&UpcomingFilter::default(), PageRequest::first(10_000)))
            .map(|page| page.items)
            .unwrap_or_default()
    }

    fn stored(&self) -> Stored {
        let entities: Vec<_> = (1..=self.world.with(|state| state.swarm.entities))
            .map(|number| format!("account/{number}").parse().expect("a number is an id"))
            .collect();
        Stored { live: self.live(), entities: at_once(self.store.snapshots(&entities)).unwrap_or_default() }
    }

    fn outcome(&self, seed: u64) -> Outcome {
        let executor = &self.world.executor;
        self.world.with(|state| Outcome {
            seed,
            breach: state.ledger.breach().cloned(),
            hash: state.trace.hash(),
            steps: executor.steps(),
            commits: state.ledger.commits,
            simulated: executor.now(),
            lines: state.trace.lines().map(str::to_owned).collect(),
        })
    }
}

type Nodes = Arc<Mutex<Vec<Option<(Process, CancellationToken)>>>>;

/// Keeps one engine running, as a supervisor does: what ends begins again after a while.
async fn keep_node(world: Arc<World>, store: Arc<MemoryStore>, nodes: Nodes, slot: usize) {
    loop {
        let process = world.new_process();
        let stop = CancellationToken::new();
        let (ending, ended) = oneshot::channel();
        let serving = serve(Arc::clone(&world), Arc::clone(&store), (process, slot), stop.clone());
        let life = async move {
            // Nobody listens only when the run is over.
            let _ = ending.send(serving.await);
        };
        world.executor.begin(process, Box::pin(life));
        nodes.lock().unwrap_or_else(PoisonError::into_inner)[slot] = Some((process, stop));
        let how = match ended.await {
            Ok(Ok(())) => "stopped".to_owned(),
            Ok(Err(error)) => format!("ended: {error}"),
            Err(_) => "died".to_owned(),
        };
        world.note(&format!("p{} {how}", process.0));
        nodes.lock().unwrap_or_else(PoisonError::into_inner)[slot] = None;
        world.executor.kill(process);
        let pause = Duration::from_secs(1) + world.span(Duration::from_secs(4));
        world.executor.wait(pause).await;
    }
}

/// One life of an engine.
async fn serve(
    world: Arc<World>,
    store: Arc<MemoryStore>,
    (process, slot): (Process, usize),
    stop: CancellationToken,
) -> Result<(), hence::Error> {
    let client = open(&world, process, &store, "node").await?;
    let (attempts_max, catch_up, is_mixed) =
        world.with(|state| (state.swarm.attempts_max, state.swarm.catch_up, state.swarm.is_mixed));
    let mut options = EngineOptions::default();
    options.attempts_max = attempts_max;
    options.catch_up_per_second = catch_up;
    let lacks_rare = is_mixed && slot == 0;
    let receivers =
        Receivers { world: Arc::clone(&world), process, client: open(&world, OUTSIDE, &store, "receiver").await?, lacks_rare };
    let dispatchers = Dispatchers::new().with(Arc::new(receivers));
    Engine::new(client, dispatchers, options).run(stop).await.map(|_| ())
}

async fn open(world: &Arc<World>, process: Process, store: &MemoryStore, actor: &str) -> Result<Client, hence::Error> {
    let host = Arc::new(SimulatedHost { world: Arc::clone(world), process });
    let store: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::clone(world), process, store));
    let readers = FactReaders::default().with_database("app", Arc::new(Application { world: Arc::clone(world) }));
    let loaded = world.with(|state| Arc::clone(&state.library));
    hence::simulation::open(host, store, readers, (actor, loaded)).await
}

/// A program that tells; when it cannot begin it tries again.
async fn tell(world: Arc<World>, store: Arc<MemoryStore>) {
    loop {
        match open(&world, OUTSIDE, &store, "app").await {
            Ok(client) => return Teller { world, client }.go_on().await,
            Err(_) => world.executor.wait(Duration::from_secs(1)).await,
        }
    }
}

/// Crashes, pauses, stops and steps of the clock, until faults stop.
async fn strike(world: Arc<World>, nodes: Nodes) {
    while !world.with(|state| state.is_quiet) {
        world.executor.wait(Duration::from_secs(1)).await;
        let (crash, pause, stop, clock) =
            world.with(|state| (state.swarm.crash, state.swarm.pause, state.swarm.stop, state.swarm.clock));
        let comes = |every: u64| every > 0 && world.strikes(u32::try_from(1000 / every).unwrap_or(0));
        let node = some_node(&world, &nodes);
        if let Some((process, token)) = node {
            if comes(crash) {
                world.note(&format!("p{} crashes", process.0));
                world.executor.kill(process);
            } else if comes(pause) {
                let span = world.span(PAUSE_MAX);
                world.note(&format!("p{} pauses for {span:?}", process.0));
                world.executor.pause(process, span);
            } else if comes(stop) {
                world.note(&format!("p{} is asked to stop", process.0));
                token.cancel();
            }
        }
        if comes(clock) {
            let seconds =
                world.with(|state| if state.dice.u32(..8) == 0 { state.dice.i64(-900..900) } else { state.dice.i64(-20..30) });
            world.note(&format!("the clock is set by {seconds} s"));
            world.step_clock(SignedDuration::from_secs(seconds));
        }
    }
}

fn some_node(world: &World, nodes: &Nodes) -> Option<(Process, CancellationToken)> {
    let living: Vec<(Process, CancellationToken)> =
        nodes.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().cloned().collect();
    if living.is_empty() { None } else { Some(living[world.with(|state| state.dice.usize(..living.len()))].clone()) }
}
