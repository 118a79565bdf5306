//! Crashes for real: the built binary is killed again and again while it drains a backlog, and then history is held against what
//! the receiver logged.
//!
//! The engine is `hence serve` in a process of its own, unchanged: nothing in it knows of this. A kill is `SIGKILL`, either at a random
//! moment or by `strace` just before the n-th call that writes a page, waits for the disk, or sends or reads a byte, so every statement
//! and every send has a boundary that is met. While it dies and comes back, tasks are cancelled from this process on the same store.
//! `receiver` logs what arrives, `engine` starts and kills, `check` judges.

pub(crate) mod check;
pub(crate) mod engine;
pub mod full;
pub(crate) mod receiver;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use hence::core::name::{EntityKey, TaskId};
use hence::core::task::TaskState;
use hence::store::port::{PageRequest, UpcomingFilter};
use hence::store::sqlite::{OpenMode, SqliteOptions, SqliteStore};
use hence::{CancelAnswer, Client, Enrolment, FactReaders, Store, Telling, Told};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

pub use self::check::Report;
use self::engine::{Engine, Kill};
use self::receiver::Receiver;

/// Two tasks for each entity, in order; an event would cancel both.
pub(crate) const DEFINITION: &str = r#"
[timeline]
name = "drain"
entity = "account"
anchor = "due"
late = { after = "30 days", then = "run" }

[step.first]
do = { webhook = "app", path = "/first" }
retry = { tries = 100, wait = "1s..1s" }

[step.second]
due = "1 second"
do = { webhook = "app", path = "/second" }
retry = { tries = 100, wait = "1s..1s" }
"#;

/// How long the last drain, without kills, may take before that counts as work that never comes.
const DRAIN_MAX: Duration = Duration::from_secs(900);
/// How long an engine may take until it says that it serves.
const SERVES_MAX: Duration = Duration::from_secs(60);

/// What is done to the engine.
#[derive(Args, Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The binary to kill
    #[arg(long)]
    pub hence: PathBuf,
    /// Tasks to drain, two for each entity
    #[arg(long, default_value_t = 50_000)]
    pub tasks: usize,
    /// Kills at random moments
    #[arg(long, default_value_t = 200)]
    pub kills: usize,
    /// Kills at boundaries, spread over all kinds of them
    #[arg(long, default_value_t = 120)]
    pub boundaries: usize,
    /// Cancels while that goes on
    #[arg(long, default_value_t = 2_000)]
    pub cancels: usize,
    /// The seed of moments and choices; random, and printed, if not given
    #[arg(long)]
    pub seed: Option<u64>,
}

impl Options {
    /// So many tasks, kills and cancels of this binary.
    pub fn new(hence: PathBuf, tasks: usize) -> Self {
        Self { hence, tasks, kills: 0, boundaries: 0, cancels: 0, seed: None }
    }
}

/// What a cancel came to, as it was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cancel {
    pub(crate) task: TaskId,
    pub(crate) answer: CancelAnswer,
}

/// Kills, drains and judges.
/// # Errors
/// Something could not be done. What the checker found is no error: it stands in the report.
pub fn run(options: &Options) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    runtime.block_on(play(options, seed)).with_context(|| format!("the seed was {seed}"))
}

async fn play(options: &Options, seed: u64) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let receiver = Receiver::begin(&folder.path().join("received.log")).await?;
    prepare(folder.path(), receiver.port())?;
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::open(&folder.path().join("hence.db"), SqliteOptions::new(OpenMode::Create))?);
    let client = Client::open(Arc::clone(&store), FactReaders::default(), "harness").await?;
    client.put_definition(DEFINITION).await?;
    enrol(&client, options.tasks).await?;

    let stop = CancellationToken::new();
    let cancelling = tokio::spawn(cancel_some(client.clone(), options.cancels, seed, stop.clone()));
    let engine = Engine::new(&options.hence, folder.path());
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut kills = Vec::new();
    for kill in plan(options, &mut dice) {
        if live(&store).await? == 0 {
            break;
        }
        kills.push(engine.kill(kill, SERVES_MAX).await?);
    }
    stop.cancel();
    let cancels = cancelling.await.context("the cancels broke")??;
    drain(&engine, &client).await?;
    let received = receiver.end().await?;
    check::check(&store, check::Evidence { seed, received, cancels, kills, tasks: options.tasks }).await
}

/// The folder that the binary runs in.
fn prepare(folder: &Path, port: u16) -> Result<()> {
    let config = format!(
        "[store]\nurl = \"sqlite:hence.db\"\n\n[targets.app]\nurl = \"http://127.0.0.1:{port}\"\nallow_private = true\n\n\
         [engine]\ncatch_up_per_second = 100000\n"
    );
    std::fs::write(folder.join("hence.toml"), config)?;
    std::fs::create_dir_all(folder.join("timelines"))?;
    std::fs::write(folder.join("timelines/drain.toml"), DEFINITION)?;
    Ok(())
}

/// Most tasks are overdue, a fifth falls due while the engine is being killed.
async fn enrol(client: &Client, tasks: usize) -> Result<()> {
    let now = client.now().await?;
    let numbers: Vec<usize> = (0..tasks.div_ceil(2)).collect();
    for batch in numbers.chunks(1000) {
        let tellings = batch.iter().map(|number| {
            let due = if number % 5 == 0 {
                now + SignedDuration::from_millis((number % 20_000) as i64)
            } else {
                now - SignedDuration::from_secs(3600) + SignedDuration::from_millis(*number as i64)
            };
            let entity: EntityKey = format!("account/{number}").parse()?;
            Ok(Telling::enrol(Enrolment::new("drain".parse()?, entity).given("due".parse()?, due)))
        });
        for told in client.tell_many(tellings.collect::<Result<_>>()?).await? {
            ensure!(told == Told::CarriedOut, "an enrolment was not carried out: {told:?}");
        }
    }
    Ok(())
}

/// The kills, random ones and boundaries mixed.
fn plan(options: &Options, dice: &mut fastrand::Rng) -> Vec<Kill> {
    let mut kills: Vec<Kill> = (0..options.kills).map(|_| Kill::After(Duration::from_millis(dice.u64(5..400)))).collect();
    for number in 0..options.boundaries {
        let call = engine::BOUNDARIES[number % engine::BOUNDARIES.len()];
        kills.push(Kill::Before { call, count: dice.u32(1..12) });
    }
    dice.shuffle(&mut kills);
    kills
}

async fn live(store: &Arc<dyn Store>) -> Result<u64> {
    Ok(store.totals().await?.live.values().sum())
}

/// Cancels tasks that are about to start, one after the other, until there were enough or the kills are over.
async fn cancel_some(client: Client, cancels: usize, seed: u64, stop: CancellationToken) -> Result<Vec<Cancel>> {
    let mut dice = fastrand::Rng::with_seed(seed ^ 1);
    let mut answers = Vec::new();
    while answers.len() < cancels && !stop.is_cancelled() {
        let page = client.store().upcoming(&UpcomingFilter::default(), PageRequest::first(300)).await?;
        if page.items.is_empty() {
            break;
        }
        for _ in 0..8 {
            let task = page.items[dice.usize(0..page.items.len())].id;
            match client.cancel(task, "by the harness").await {
                Ok(answer) => answers.push(Cancel { task, answer }),
                // The engine was writing, or died while it did.
                Err(error) => eprintln!("a cancel was not answered: {error}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(answers)
}

/// Lets an engine run unhurt until nothing is ahead; what it holds because it died too often is released, as a person would.
async fn drain(engine: &Engine, client: &Client) -> Result<()> {
    let running = engine.begin(SERVES_MAX).await?;
    let began = Instant::now();
    loop {
        let totals = client.store().totals().await?;
        if totals.live.values().sum::<u64>() == 0 {
            break;
        }
        ensure!(began.elapsed() < DRAIN_MAX, "work is left that never comes: {:?} at {}", totals.live, Timestamp::now());
        let held = UpcomingFilter { states: vec![TaskState::Held], ..UpcomingFilter::default() };
        for task in client.store().upcoming(&held, PageRequest::first(500)).await?.items {
            client.release(task.id, "looked at").await?;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.stop().await
}
