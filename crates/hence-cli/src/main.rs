//! The binary `hence`: the command line of Hence.
//!
//! Owns words for people: arguments, configuration, tables, errors and exit codes. Decides nothing: every command reads or tells
//! through [`hence::Client`] on the configured store, whether an engine is running or not. To add a command: a variant in `cli.rs` and
//! a file under `commands/`.

mod cli;
mod commands;

mod config;
mod definitions;
mod diagnostics;
mod input;
mod output;
mod pages;
mod problem;
mod session;
mod store;
mod wire;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    cli.global.color.apply();
    let is_wide = cli.global.output == Some(cli::Format::Wide);
    output::set_up(output::Talk { is_quiet: cli.global.quiet, has_headings: !cli.global.no_header, is_wide });
    let is_for_programs = cli.global.json || matches!(cli.global.output, Some(cli::Format::Json | cli::Format::Jsonl));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::note(&format!("error: cannot start: {error}"));
            return problem::Exit::Failed.into();
        }
    };
    let ended = runtime.block_on(commands::run(cli));
    match ended {
        Ok(exit) => exit.into(),
        Err(problem) => {
            if is_for_programs {
                problem.show_as_json()
            } else {
                problem.show()
            }
            problem.exit.into()
        }
    }
}
