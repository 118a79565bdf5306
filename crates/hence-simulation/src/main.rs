//! The command line of the simulator: `cargo xtask sim` calls it.

// A developer's tool talks to the terminal; there is no other reader.
#![allow(clippy::print_stdout)]

use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use hence_simulation::{Bug, Options, hunt, median_and_worst, run, run_many};

/// Runs the real engine among simulated faults
#[derive(Parser)]
#[command(name = "cargo xtask sim")]
struct Arguments {
    /// One seed, with the last lines of its trace
    #[arg(long)]
    seed: Option<u64>,
    /// Many seeds, as A..B
    #[arg(long, value_parser = range)]
    seeds: Option<Range<u64>>,
    /// The most steps before faults stop
    #[arg(long, default_value_t = Options::default().steps_max)]
    steps: u64,
    /// How many lines of the trace are shown
    #[arg(long, default_value_t = 60)]
    lines: usize,
    /// Measure the tester: how many seeds it takes to find each planted failure
    #[arg(long)]
    bugs: bool,
    /// A failure of the bank to run with, such as F1
    #[arg(long, value_parser = bug)]
    bug: Option<Bug>,
    /// The most seeds for one failure
    #[arg(long, default_value_t = 1000)]
    seeds_max: u64,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let parts = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parts.ok_or_else(|| "write it as 0..5000".to_owned())
}

fn bug(text: &str) -> Result<Bug, String> {
    Bug::ALL.into_iter().find(|bug| format!("{bug:?}") == text).ok_or_else(|| format!("the bank has no `{text}`"))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let lines_kept = arguments.lines.max(Options::default().lines_kept);
    let options = Options { steps_max: arguments.steps, bug: arguments.bug, lines_kept };
    if arguments.bugs {
        return bugs(arguments.seeds_max);
    }
    if let Some(seeds) = arguments.seeds {
        return many(seeds, options, arguments.lines);
    }
    let outcome = run(arguments.seed.unwrap_or(0), options);
    if outcome.breach.is_none() {
        let last = &outcome.lines[outcome.lines.len().saturating_sub(arguments.lines)..];
        println!("{}", last.join("\n"));
    }
    println!("{}", outcome.report(arguments.lines));
    println!(
        "{} steps, {} commits, {:?} simulated, trace {:016x}",
        outcome.steps, outcome.commits, outcome.simulated, outcome.hash
    );
    if outcome.breach.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn many(seeds: Range<u64>, options: Options, lines: usize) -> ExitCode {
    let began = Instant::now();
    let count = seeds.end.saturating_sub(seeds.start);
    let (breaches, steps, commits) = run_many(seeds, options);
    for outcome in breaches.iter().take(3) {
        println!("{}", outcome.report(lines));
    }
    for outcome in breaches.iter().skip(3) {
        println!("{}", outcome.report(0));
    }
    let seconds = began.elapsed().as_secs_f64();
    let rate = steps as f64 / seconds;
    println!(
        "{count} seeds, {} with a breach; {steps} steps and {commits} commits in {seconds:.1} s: {rate:.0} steps/s",
        breaches.len()
    );
    if breaches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn bugs(seeds_max: u64) -> ExitCode {
    // Broken assertions of the product count as found; their messages would drown the table.
    std::panic::set_hook(Box::new(|_| {}));
    println!("| failure | seeds | found by |\n|---|---|---|");
    let finds: Vec<_> = Bug::ALL.into_iter().map(|bug| hunt(bug, 0, seeds_max)).collect();
    for find in &finds {
        match &find.found {
            Some((seeds, breach)) => {
                println!("| {:?} | {seeds} | {}: {} |", find.bug, breach.rule, breach.text.lines().next().unwrap_or(""))
            }
            None => println!("| {:?} | not within {seeds_max} | |", find.bug),
        }
    }
    match median_and_worst(&finds) {
        Some((median, worst)) => {
            println!("{} failures, all found: median {median} seeds, worst {worst}", finds.len());
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}
