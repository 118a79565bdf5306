//! A million waiting tasks in one SQLite file: how long the commands of a person take, start of the binary included, and what an engine
//! that has nothing to do costs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use hence::store::sqlite::{OpenMode, SqliteOptions, SqliteStore};
use hence::{Client, Enrolment, FactReaders, Telling, Told};
use jiff::{SignedDuration, Timestamp};

use crate::machine;

/// Tasks of each entity.
const STEPS: usize = 10;
/// How often each command is run.
const RUNS: usize = 15;
/// What each command may take, in the median, start of the binary included.
const GOAL: Duration = Duration::from_millis(50);
const MEMORY_GOAL: u64 = 100 << 20;

/// How it is measured.
#[derive(Args, Debug)]
pub struct Options {
    /// The binary, built for release
    #[arg(long)]
    hence: PathBuf,
    /// Waiting tasks, ten for each entity
    #[arg(long, default_value_t = 1_000_000)]
    tasks: usize,
    /// Seconds that the idle engine is watched
    #[arg(long, default_value_t = 30)]
    idle: u64,
    /// Fail where a goal is missed
    #[arg(long)]
    strict: bool,
}

/// Measures and prints.
/// # Errors
/// A command failed; with `strict` also when a goal is missed.
pub fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let began = Instant::now();
    runtime.block_on(seed(folder.path(), options.tasks))?;
    drop(runtime);
    let bytes = std::fs::metadata(folder.path().join("hence.db"))?.len();
    println!("{} waiting tasks, {} MB, made in {:.1?}", options.tasks, bytes >> 20, began.elapsed());
    println!("sync latency {:.2?}", machine::sync_latency(folder.path())?);
    let mut missed = Vec::new();
    let one = format!("account/{}", options.tasks / STEPS / 2);
    for (what, arguments) in [
        ("upcoming of one entity", vec!["upcoming", &one]),
        ("next 50 of one step", vec!["upcoming", "--step", "step_5", "--limit", "50"]),
        ("counts per day", vec!["upcoming", "--count", "day"]),
    ] {
        let (median, max) = timed(options, folder.path(), &arguments)?;
        println!("{what:<24} median {median:>8.1?}  max {max:>8.1?}   hence {}", arguments.join(" "));
        if median > GOAL {
            missed.push(format!("{what} took {median:.1?}"));
        }
    }
    let (memory, share) = idle(options, folder.path())?;
    println!("idle engine              {} MB, {:.2} % of a core", memory >> 20, share * 100.0);
    if memory > MEMORY_GOAL {
        missed.push(format!("the engine held {} MB", memory >> 20));
    }
    if share > 0.01 {
        missed.push(format!("the idle engine used {:.2} % of a core", share * 100.0));
    }
    for missed in &missed {
        println!("goal missed: {missed}");
    }
    ensure!(missed.is_empty() || !options.strict, "{} goals were missed", missed.len());
    Ok(())
}

fn definition() -> String {
    let mut text = "[timeline]\nname = \"ten\"\nentity = \"account\"\nanchor = \"due\"\n".to_owned();
    for step in 0..STEPS {
        text.push_str(&format!(
            "\n[step.step_{step}]\ndue = \"{} days\"\ndo = {{ log = \"step {step} of {{entity}}\" }}\n",
            step * 3
        ));
    }
    text
}

async fn seed(folder: &Path, tasks: usize) -> Result<()> {
    std::fs::write(folder.join("hence.toml"), "[store]\nurl = \"sqlite:hence.db\"\n")?;
    std::fs::create_dir_all(folder.join("timelines"))?;
    std::fs::write(folder.join("timelines/ten.toml"), definition())?;
    let store = SqliteStore::open(&folder.join("hence.db"), SqliteOptions::new(OpenMode::Create))?;
    let client = Client::open(Arc::new(store), FactReaders::default(), "bench").await?;
    client.put_definition(&definition()).await?;
    let first = Timestamp::now() + SignedDuration::from_hours(48);
    let numbers: Vec<usize> = (0..tasks / STEPS).collect();
    for batch in numbers.chunks(1000) {
        let tellings = batch.iter().map(|number| {
            let due = first + SignedDuration::from_secs((number * 7 % 86_400) as i64);
            let entity = format!("account/{number}").parse()?;
            Ok(Telling::enrol(Enrolment::new("ten".parse()?, entity).given("due".parse()?, due)))
        });
        for told in client.tell_many(tellings.collect::<Result<_>>()?).await? {
            ensure!(told == Told::CarriedOut, "an enrolment was not carried out: {told:?}");
        }
    }
    Ok(())
}

/// The median and the longest run of a command.
fn timed(options: &Options, folder: &Path, arguments: &[&str]) -> Result<(Duration, Duration)> {
    let mut spans = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let began = Instant::now();
        let output = Command::new(&options.hence).args(arguments).current_dir(folder).output()?;
        spans.push(began.elapsed());
        ensure!(output.status.success() && !output.stdout.is_empty(), "hence {arguments:?} gave nothing");
    }
    spans.sort_unstable();
    Ok((spans[RUNS / 2], spans[RUNS - 1]))
}

/// The most memory that an engine with nothing to do held, and its share of a core.
fn idle(options: &Options, folder: &Path) -> Result<(u64, f64)> {
    let mut child = Command::new(&options.hence)
        .arg("serve")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run the engine")?;
    let process = child.id().to_string();
    let measured = (|| {
        std::thread::sleep(Duration::from_secs(3));
        let before = machine::processor_time(&process)?;
        let began = Instant::now();
        std::thread::sleep(Duration::from_secs(options.idle));
        let used = machine::processor_time(&process)?.saturating_sub(before);
        let (_, most) = machine::memory(&process)?;
        if most == 0 {
            bail!("the engine has ended by itself");
        }
        Ok((most, used.as_secs_f64() / began.elapsed().as_secs_f64()))
    })();
    child.kill()?;
    child.wait()?;
    measured
}
