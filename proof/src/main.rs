//! The commands of the measurements: `cargo xtask bench` and `cargo xtask crash` call this binary.

// A developer's tool talks to the terminal; there is no other reader.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hence_proof::{bench, blackbox, crash, million};

/// Measures Hence, and kills it.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Workloads W1 to W5 on SQLite, beside the raw statements of the same run
    Bench(bench::Options),
    /// A million waiting tasks: what commands take, and what an idle engine costs
    Million(million::Options),
    /// Lets the disk run full under the engine, and frees it
    FullDisk {
        /// The binary
        #[arg(long)]
        hence: std::path::PathBuf,
        /// Tasks to drain
        #[arg(long, default_value_t = 2_000)]
        tasks: usize,
    },
    /// Kills the engine again and again, and holds history against the receiver's log
    Crash(crash::Options),
    /// Hurts several nodes on one PostgreSQL database, and holds history against the receiver's log
    Blackbox(blackbox::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().what {
        What::Bench(options) => bench::run(&options),
        What::Million(options) => million::run(&options),
        What::FullDisk { hence, tasks } => crash::full::run(&hence, tasks).and_then(|report| judged(&report)),
        What::Crash(options) => crash::run(&options).and_then(|report| judged(&report)),
        What::Blackbox(options) => blackbox::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hence-proof: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn judged(report: &crash::Report) -> anyhow::Result<()> {
    println!("{report}");
    anyhow::ensure!(report.violations.is_empty(), "what must not happen has happened");
    Ok(())
}
