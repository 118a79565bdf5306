//! `hence completions` and `hence man`: what a shell and `man` want to know, made from the same tree as the command line.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::output;
use crate::problem::{Exit, Problem};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which shell
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Writes one page for each command into this folder, instead of the main page to stdout
    folder: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hence", &mut script);
    output::raw(&script);
    Exit::Done
}

pub(crate) fn man(args: &ManArgs) -> Result<Exit, Problem> {
    if let Some(folder) = &args.folder {
        let problem = |error: std::io::Error| Problem::file("write to", folder, &error);
        std::fs::create_dir_all(folder).map_err(problem)?;
        clap_mangen::generate_to(Cli::command(), folder).map_err(problem)?;
        output::note(&format!("wrote the pages to {}; read one with `man -l {}/hence.1`", folder.display(), folder.display()));
        return Ok(Exit::Done);
    }
    let mut page = Vec::new();
    let made = clap_mangen::Man::new(Cli::command()).render(&mut page);
    made.map_err(|error| Problem::new("HNC-0322", format!("cannot make the page: {error}"), Exit::Failed))?;
    output::raw(&page);
    Ok(Exit::Done)
}
