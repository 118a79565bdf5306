//! Several nodes as processes on one PostgreSQL database, hurt at random, and history held against what the receiver logged (T4).
//!
//! Each node is `hence serve`, unchanged, behind a proxy of its own. Nemeses kill it (`SIGKILL`), stop it for a while (`SIGSTOP`), cut its
//! connections or stop their bytes; one or two of three are hurt at once. Meanwhile this process enrols and cancels on the same store.
//! `check` of the crash harness judges what happened; here is judged when: by when the shards of a node that was hurt belonged to others,
//! and by when each task arrived.

mod node;
mod proxy;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use hence::core::name::EntityKey;
use hence::core::task::TaskState;
use hence::store::port::{PageRequest, UpcomingFilter};
use hence::store::postgres::{PostgresOptions, PostgresStore};
use hence::store::sqlite::OpenMode;
use hence::{Client, Enrolment, FactReaders, Store, Telling, Told};
use hence_servers::postgres::{Options as ServerOptions, Server};
use jiff::SignedDuration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::node::Node;
use self::proxy::{Proxy, Way};
use crate::crash::check::{self, Evidence};
use crate::crash::engine::Killed;
use crate::crash::receiver::{Received, Receiver};
use crate::crash::{Cancel, DEFINITION, Report};

/// The nodes of a run.
const NODES: usize = 3;
/// How many entities are enrolled at once, and how often.
const BATCH: usize = 10;
const BATCH_EACH: Duration = Duration::from_millis(100);
/// How long telling may fail.
const TELLS_MAX: SignedDuration = SignedDuration::from_secs(60);
/// How often a task is cancelled.
const CANCEL_EACH: Duration = Duration::from_millis(150);
/// How long what is left may take once nothing is hurt any more.
const DRAIN_MAX: Duration = Duration::from_secs(180);
/// The promise of G18: what a dead node had is somebody else's within this.
const TAKEOVER_P99: Duration = Duration::from_secs(16);
/// The longest takeover that is borne.
const TAKEOVER_MAX: Duration = Duration::from_secs(25);

/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(1 << 20);

/// What is done.
#[derive(Args, Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The binary
    #[arg(long)]
    pub hence: PathBuf,
    /// How many runs, one after the other
    #[arg(long, default_value_t = 1)]
    pub runs: u32,
    /// How long nodes are hurt in each run
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// The seed of the first run, of moments and choices; random, and printed, if not given
    #[arg(long)]
    pub seed: Option<u64>,
}

impl Options {
    /// One run of that binary.
    pub fn new(hence: PathBuf, seconds: u64) -> Self {
        Self { hence, runs: 1, seconds, seed: None }
    }
}

/// What came of one run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// What was lost, early, twice, out of order or done although it was cancelled.
    pub report: Report,
    /// What was done to nodes, in order.
    pub faults: Vec<String>,
    /// How long the shards of each node that was hurt for long enough were nobody else's, the shortest first.
    pub takeovers: Vec<Duration>,
    /// How late tasks arrived first, the least first.
    pub lateness: Vec<Duration>,
    /// Connections to the database that proxies carried.
    pub connections: u32,
}

/// What a nemesis does to a node.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Kill,
    Stop(Duration),
    Way(Way, Duration),
}

/// A watch that goes on: how long the takeover took, if there was one.
type Watching = JoinHandle<Result<Option<Duration>>>;

/// One run's world.
struct World {
    store: Arc<dyn Store>,
    client: Client,
    nodes: Vec<Node>,
    faults: Vec<String>,
    /// Who was hurt, from when until when.
    hurts: Vec<(usize, Instant, Instant)>,
    watches: Vec<(usize, Instant, Watching)>,
    began: Instant,
    kills: Vec<Killed>,
}

/// Runs all, and prints what came of each.
/// # Errors
/// Something could not be done, or a checker found something.
pub fn run(options: &Options) -> Result<()> {
    let mut violations = 0;
    for number in 0..u64::from(options.runs) {
        let outcome = run_once(options, options.seed.map(|first| first + number))?;
        println!("{outcome}");
        violations += outcome.violations().len();
    }
    ensure!(violations == 0, "what must not happen has happened {violations} times");
    Ok(())
}

/// One run of that seed, or of a random one.
/// # Errors
/// As [`run`], but what the checkers found is no error.
pub fn run_once(options: &Options, seed: Option<u64>) -> Result<Outcome> {
    let options = &Options { hence: std::path::absolute(&options.hence)?, ..options.clone() };
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(play(options, seed)).with_context(|| format!("the seed was {seed}"))
}

async fn play(options: &Options, seed: u64) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&ServerOptions::default())?;
    let database = server.new_database()?;
    let store: Arc<dyn Store> = Arc::new(PostgresStore::open(&database.url, PostgresOptions::new(OpenMode::Create)).await?);
    let client = Client::open(Arc::clone(&store), FactReaders::default(), "harness").await?;
    client.put_definition(DEFINITION).await?;
    let receiver = Receiver::begin(&folder.path().join("received.log")).await?;
    let (nodes, faults, hurts, watches) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut world = World { store, client, nodes, faults, hurts, watches, began: Instant::now(), kills: Vec::new() };
    for number in 0..NODES {
        let proxy = Proxy::begin(server.port()).await?;
        let url = database.url.replace(&format!(":{}/", server.port()), &format!(":{}/", proxy.port()));
        let node = Node::new(&options.hence, &folder.path().join(format!("node{number}")), (proxy, &url, receiver.port()))?;
        world.nodes.push(node);
    }
    for node in &mut world.nodes {
        node.begin().await?;
    }
    let stop = CancellationToken::new();
    let telling = tokio::spawn(tell(world.client.clone(), seed, stop.clone()));
    let cancelling = tokio::spawn(cancel_some(world.client.clone(), seed, stop.clone()));
    let mut dice = fastrand::Rng::with_seed(seed);
    world.hurt(Duration::from_secs(options.seconds), &mut dice).await?;
    stop.cancel();
    let entities = telling.await.context("the teller broke")??;
    let cancels: Vec<Cancel> = cancelling.await.context("the cancels broke")??;
    world.drain().await?;
    let takeovers = world.takeovers().await?;
    let connections = world.nodes.iter().map(|node| u32::from(node.proxy.carried())).sum();
    for node in &mut world.nodes {
        node.stop().await?;
    }
    let received = receiver.end().await?;
    let lateness = lateness(&received);
    let evidence = Evidence { seed, received, cancels, kills: world.kills, tasks: 2 * entities };
    let report = check::check(&world.store, evidence).await?;
    Ok(Outcome { report, faults: world.faults, takeovers, lateness, connections })
}

/// Enrols entities that fall due in the next seconds, until it is told to stop; how many.
async fn tell(client: Client, seed: u64, stop: CancellationToken) -> Result<usize> {
    let mut dice = fastrand::Rng::with_seed(seed ^ 2);
    let mut count = 0;
    while !stop.is_cancelled() {
        let now = client.now().await?;
        let mut tellings = Vec::new();
        for number in count..count + BATCH {
            let due = now + SignedDuration::from_millis(dice.i64(-1_000..5_000));
            let entity: EntityKey = format!("account/{number}").parse()?;
            let enrolment = Enrolment::new("drain".parse()?, entity).given("due".parse()?, due);
            tellings.push(Telling::enrol(enrolment).key(&format!("enrol {number}")));
        }
        let told = loop {
            match client.tell_many(tellings.clone()).await {
                Ok(told) => break told,
                // A node that was stopped in the middle of a write keeps its rows for a while. The keys make it safe to tell again.
                Err(error) => eprintln!("told again: {error}"),
            }
            ensure!(client.now().await? - now < TELLS_MAX, "nothing can be told for {TELLS_MAX:#}");
        };
        for told in told {
            // Where nodes plan at the same time it may be left to them.
            ensure!(matches!(told, Told::CarriedOut | Told::Accepted(_) | Told::Duplicate), "an enrolment was refused: {told:?}");
        }
        count += BATCH;
        tokio::time::sleep(BATCH_EACH).await;
    }
    Ok(count)
}

/// Cancels tasks that are about to start, until it is told to stop.
async fn cancel_some(client: Client, seed: u64, stop: CancellationToken) -> Result<Vec<Cancel>> {
    let mut dice = fastrand::Rng::with_seed(seed ^ 1);
    let mut answers = Vec::new();
    while !stop.is_cancelled() {
        tokio::time::sleep(CANCEL_EACH).await;
        let page = client.store().upcoming(&UpcomingFilter::default(), PageRequest::first(100)).await?;
        if !page.items.is_empty() {
            let task = page.items[dice.usize(..page.items.len())].id;
            match client.cancel(task, "by the harness").await {
                Ok(answer) => answers.push(Cancel { task, answer }),
                // Its rows are kept by a node that was stopped: nobody knows.
                Err(error) => eprintln!("a cancel was not answered: {error}"),
            }
        }
    }
    Ok(answers)
}

/// How late each task arrived for the first time.
fn lateness(received: &[Received]) -> Vec<Duration> {
    let mut first: std::collections::BTreeMap<i64, Duration> = std::collections::BTreeMap::new();
    for request in received {
        let late = Duration::try_from(request.at.duration_since(request.due_at)).unwrap_or(Duration::ZERO);
        first.entry(request.task).and_modify(|known| *known = late.min(*known)).or_insert(late);
    }
    let mut all: Vec<Duration> = first.into_values().collect();
    all.sort_unstable();
    all
}

impl World {
    /// Hurts nodes for that long, then heals all.
    async fn hurt(&mut self, span: Duration, dice: &mut fastrand::Rng) -> Result<()> {
        // Who is hurt, and when that ends.
        let mut hurt: Vec<(usize, Instant, Fault)> = Vec::new();
        // With two at once, who is well may have been hurt a moment ago; with one, takeovers can be timed.
        let at_once = dice.usize(1..NODES);
        self.faults.push(format!("at most {at_once} of {NODES} nodes are hurt at once"));
        let until = Instant::now() + span;
        while Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(dice.u64(500..3_000))).await;
            let (over, rest) = hurt.into_iter().partition::<Vec<_>, _>(|(_, end, _)| *end <= Instant::now());
            hurt = rest;
            for (number, _, fault) in over {
                self.heal(number, fault).await?;
            }
            let well: Vec<usize> =
                (0..self.nodes.len()).filter(|number| hurt.iter().all(|(other, ..)| other != number)).collect();
            if hurt.len() < at_once {
                let number = well[dice.usize(..well.len())];
                let span = Duration::from_millis(dice.u64(1_000..25_000));
                let fault = match dice.u32(..4) {
                    0 => Fault::Kill,
                    1 => Fault::Stop(span),
                    2 => Fault::Way(Way::Cut, span),
                    _ => Fault::Way(Way::Stopped, span),
                };
                self.strike(number, fault).await?;
                hurt.push((number, Instant::now() + span, fault));
            }
        }
        for (number, _, fault) in hurt {
            self.heal(number, fault).await?;
        }
        Ok(())
    }

    async fn strike(&mut self, number: usize, fault: Fault) -> Result<()> {
        self.faults.push(format!("{:>6.1} s: node {number}: {fault:?}", self.began.elapsed().as_secs_f64()));
        let node = &mut self.nodes[number];
        let name = node.name();
        let at = match fault {
            Fault::Kill => {
                self.kills.push(Killed::AtRandom);
                node.kill().await?
            }
            Fault::Stop(_) => {
                node.signal("STOP").await?;
                Instant::now()
            }
            Fault::Way(way, _) => {
                node.proxy.set(way);
                Instant::now()
            }
        };
        let lasts = match fault {
            Fault::Kill => Duration::MAX,
            Fault::Stop(span) | Fault::Way(_, span) => span,
        };
        if let Some(name) = name {
            let watching = tokio::spawn(watch(Arc::clone(&self.store), name, (at, lasts)));
            self.watches.push((number, at, watching));
        }
        // Until it is well again.
        self.hurts.push((number, at, at + FOR_EVER));
        Ok(())
    }

    async fn heal(&mut self, number: usize, fault: Fault) -> Result<()> {
        let node = &mut self.nodes[number];
        match fault {
            Fault::Kill => node.begin().await?,
            Fault::Stop(_) => node.signal("CONT").await?,
            Fault::Way(..) => node.proxy.set(Way::Open),
        }
        self.hurts
            .iter_mut()
            .filter(|(other, _, end)| *other == number && *end > Instant::now())
            .for_each(|it| it.2 = Instant::now());
        self.faults.push(format!("{:>6.1} s: node {number}: well again", self.began.elapsed().as_secs_f64()));
        Ok(())
    }

    /// Waits until nothing is ahead; what is held because it met too many deaths is released, as a person would.
    async fn drain(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let totals = self.store.totals().await?;
            if totals.live.values().sum::<u64>() == 0 && totals.wishes == 0 {
                return Ok(());
            }
            let said = || self.nodes.iter().flat_map(Node::said).collect::<Vec<_>>().join("\n");
            ensure!(
                began.elapsed() < DRAIN_MAX,
                "work is left that never comes: {:?}\n{}\n{}",
                totals.live,
                self.faults.join("\n"),
                said()
            );
            ensure!(self.nodes.iter().all(Node::is_running), "a node is gone");
            let held = UpcomingFilter { states: vec![TaskState::Held], ..UpcomingFilter::default() };
            for task in self.store.upcoming(&held, PageRequest::first(500)).await?.items {
                if let Err(error) = self.client.release(task.id, "looked at").await {
                    eprintln!("{} was not released: {error}", task.id);
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Those that a node saw which was well all the time: who was hurt itself begins to count anew, as is promised.
    async fn takeovers(&mut self) -> Result<Vec<Duration>> {
        let mut all = Vec::new();
        for (number, at, watching) in self.watches.drain(..) {
            let Some(passed) = watching.await.context("a watch broke")?? else { continue };
            let was_well =
                |other: &usize| self.hurts.iter().all(|(hurt, from, to)| hurt != other || *to < at || *from > at + passed);
            if (0..self.nodes.len()).any(|other| other != number && was_well(&other)) {
                all.push(passed);
            }
        }
        all.sort_unstable();
        Ok(all)
    }
}

/// How long after `at` the last shard of that node was another's; `None` if it was well again before that, or had nothing.
async fn watch(store: Arc<dyn Store>, name: String, (at, lasts): (Instant, Duration)) -> Result<Option<Duration>> {
    let first = store.ownership().await?.lease_of(&name).shards;
    if first.is_empty() {
        return Ok(None);
    }
    loop {
        let seen = store.ownership().await?;
        let is_taken = first.iter().all(|owned| {
            let row = seen.shards.iter().find(|row| row.shard == owned.shard);
            row.is_some_and(|row| row.epoch > owned.epoch && row.holder.is_some())
        });
        let passed = at.elapsed();
        if is_taken {
            return Ok(Some(passed));
        }
        if passed > lasts.min(TAKEOVER_MAX * 2) {
            // A dead one whose shards nobody takes is a breach that the figures show.
            return Ok((lasts == Duration::MAX).then_some(passed));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn at_share(sorted: &[Duration], of_hundred: usize) -> Duration {
    let index = (sorted.len() * of_hundred).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

impl Outcome {
    /// Everything that must not have happened.
    pub fn violations(&self) -> Vec<String> {
        let mut all = self.report.violations.clone();
        let (p99, most) = (at_share(&self.takeovers, 99), at_share(&self.takeovers, 100));
        // Few takeovers have no ninety-ninth of a hundred: then the longest that is borne counts.
        if self.takeovers.len() >= 100 && p99 > TAKEOVER_P99 {
            all.push(format!("99 of 100 takeovers took up to {p99:?}, {TAKEOVER_P99:?} is promised"));
        }
        if most > TAKEOVER_MAX {
            all.push(format!("a takeover took {most:?}, {TAKEOVER_MAX:?} is borne"));
        }
        all
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "{fault}")?;
        }
        let share = |sorted: &[Duration], of: usize| at_share(sorted, of).as_secs_f64();
        writeln!(
            f,
            "{} takeovers: half within {:.1} s, 99 of 100 within {:.1} s, the longest {:.1} s",
            self.takeovers.len(),
            share(&self.takeovers, 50),
            share(&self.takeovers, 99),
            share(&self.takeovers, 100)
        )?;
        writeln!(
            f,
            "tasks arrived late: half within {:.2} s, 99 of 100 within {:.1} s, the latest {:.1} s; {} connections carried",
            share(&self.lateness, 50),
            share(&self.lateness, 99),
            share(&self.lateness, 100),
            self.connections
        )?;
        for violation in self.violations().iter().skip(self.report.violations.len()) {
            writeln!(f, "VIOLATION {violation}")?;
        }
        write!(f, "{}", self.report)
    }
}
