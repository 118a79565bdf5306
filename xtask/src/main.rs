//! The chores of the project, run as `cargo xtask <chore>`: the gate before a commit, the tidy checks, the generated pages.
//!
//! Nothing here is shipped. `gate` says which steps a change must pass, `tidy` enforces the rules that no compiler
//! knows, `reference` writes the pages of `docs/reference/` that are generated.

// A developer's tool talks to the terminal; there is no other reader.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod gate;
mod proof;
mod reference;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the Hence project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

/// What can be asked for.
#[derive(Subcommand)]
enum Chore {
    /// Before each commit: format, tidy, clippy, unit tests
    Quick,
    /// Before each merge: everything; ends with the tests
    Ci,
    /// The rules marked "(checked)" that no compiler knows
    Tidy {
        /// Only this rule (its name stands in brackets in each message)
        #[arg(long)]
        rule: Option<String>,
    },
    /// Write the generated pages of `docs/reference/`
    Docs {
        /// Compare only; fail when a page is out of date
        #[arg(long)]
        check: bool,
    },
    /// Measure the workloads on SQLite, built for release; what follows goes to the bench
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Kill the engine again and again, and hold history against what a receiver logged; what follows goes to the harness
    Crash {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Hurt several nodes on one PostgreSQL database, and hold history against the receiver's log; options as `--help` of it says
    #[command(disable_help_flag = true)]
    Blackbox {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Build a program that uses sqlx and Hence on one SQLite file, and run it
    BesideSqlx,
    /// Run the simulator: `--seed N`, `--seeds A..B`, `--bugs`; `--help` lists the rest
    #[command(disable_help_flag = true)]
    Sim {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Write the generated JSON Schemas only
    Schema {
        /// Compare only; fail when a schema is out of date
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let root = root();
    let result = match Arguments::parse().chore {
        Chore::Quick => gate::quick(&root),
        Chore::Ci => gate::ci(&root),
        Chore::Tidy { rule } => tidy::run(&root, rule.as_deref()),
        Chore::Bench { options } => proof::bench(&root, &options),
        Chore::Crash { options } => proof::kill(&root, "crash", &options),
        Chore::Blackbox { options } => proof::kill(&root, "blackbox", &options),
        Chore::BesideSqlx => proof::beside_sqlx(&root),
        Chore::Docs { check } => reference::run(&root, "", check),
        Chore::Sim { arguments } => gate::simulate(&root, &arguments),
        Chore::Schema { check } => reference::run(&root, ".schema.json", check),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace: the one above this crate.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}
