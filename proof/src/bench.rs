//! The bench: workloads W1 to W5 by the engine as it is shipped, each beside the raw statements of the same run.
//!
//! Absolute figures are those of one machine at one moment; the ratio to the raw statements is the result. Rounds take turns (raw,
//! Hence, raw, …) so that a slow moment of the disk hurts both, and each line carries the disk's sync latency just before it. A line is
//! the median of its rounds. `raw` has the statements, `drain`, `tell` and `late` the workloads, `line` what is printed.

mod drain;
mod late;
mod line;
mod raw;
mod setting;
mod tell;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use self::line::{Line, System};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Workload {
    /// One client enrols one entity a call
    W1a,
    /// Eight clients do
    W1b,
    /// Entities are enrolled in bulk
    W1c,
    /// A backlog of due tasks is drained
    W2,
    /// Tasks fall due at a steady rate beside resting ones
    W3,
    /// One client cancels the three tasks of an entity a call
    W5,
    /// Eight clients do
    W5p,
}

/// How it is measured.
#[derive(Args, Debug)]
pub struct Options {
    /// Only these workloads
    #[arg(long, value_enum, value_delimiter = ',')]
    workload: Vec<Workload>,
    /// Tasks of W1C and W2
    #[arg(long, default_value_t = 200_000)]
    count: usize,
    /// Calls of W1A, W1B, W5 and W5P
    #[arg(long, default_value_t = 2_000)]
    calls: usize,
    /// Resting tasks of W3
    #[arg(long, default_value_t = 100_000)]
    resting: usize,
    /// Seconds of W3, at 500 tasks a second
    #[arg(long, default_value_t = 15)]
    seconds: usize,
    /// Rounds of each workload; a line is their median
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Attempts under way at once
    #[arg(long, default_value_t = 1_000)]
    attempts: usize,
    /// Where the databases are made; a folder that is removed afterwards
    #[arg(long)]
    folder: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Leave out the raw statements
    #[arg(long)]
    without_raw: bool,
}

/// Measures and prints.
/// # Errors
/// A workload did not do what it is there for.
pub fn run(options: &Options) -> Result<()> {
    if options.rounds == 0 {
        bail!("at least one round is needed");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let all = [Workload::W1a, Workload::W1b, Workload::W1c, Workload::W2, Workload::W3, Workload::W5, Workload::W5p];
    let wanted: Vec<Workload> =
        all.into_iter().filter(|each| options.workload.is_empty() || options.workload.contains(each)).collect();
    if !options.json {
        println!("{}", line::heading());
    }
    for workload in wanted {
        for line in measure(workload, options, &runtime)? {
            println!("{}", if options.json { line.to_json().to_string() } else { line.to_string() });
        }
    }
    Ok(())
}

/// The lines of one workload, the raw ones first.
fn measure(workload: Workload, options: &Options, runtime: &tokio::runtime::Runtime) -> Result<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    for _ in 0..options.rounds {
        for system in System::ALL {
            if (options.without_raw && system != System::Hence) || !does(system, workload) {
                continue;
            }
            let folder = folder(options.folder.as_deref())?;
            let sync = crate::machine::sync_latency(folder.path())?;
            let found = match system {
                System::RawWide => raw::measure(workload, options, folder.path())?,
                System::RawTables => runtime.block_on(drain::by_statements(options, folder.path()))?,
                System::Hence => match workload {
                    Workload::W2 => runtime.block_on(drain::by_engine(options, folder.path()))?,
                    Workload::W3 => runtime.block_on(late::by_engine(options, folder.path()))?,
                    _ => runtime.block_on(tell::by_client(workload, options, folder.path()))?,
                },
            };
            match lines.iter_mut().find(|line| line.system == system) {
                Some(line) => line.rounds.push((found, sync)),
                None => lines.push(Line { workload, system, rounds: vec![(found, sync)], of_raw: None }),
            }
        }
    }
    let raw = lines.iter().find(|line| line.system == System::RawWide).map(Line::rate);
    for line in &mut lines {
        line.of_raw = raw.map(|raw| line.rate() / raw);
    }
    Ok(lines)
}

/// The statements on the tables of Hence are there for the drain only, to say what those tables cost.
fn does(system: System, workload: Workload) -> bool {
    system != System::RawTables || workload == Workload::W2
}

fn folder(below: Option<&Path>) -> Result<tempfile::TempDir> {
    let made = match below {
        Some(below) => tempfile::tempdir_in(below),
        None => tempfile::tempdir(),
    };
    made.context("cannot make a folder for the databases")
}
