//! `hence init`: a configuration, a first timeline with a test that passes, and its mail templates.

use std::path::{Path, PathBuf};

use crate::config::FILE_NAME;
use crate::output;
use crate::problem::{Exit, Problem};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to begin with
    #[arg(long, value_enum, default_value_t)]
    from: From,
    /// Where [default: the current folder]
    #[arg(default_value = ".", hide_default_value = true)]
    folder: PathBuf,
}

/// The beginnings there are.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum From {
    /// The 30-day trial: a reminder, the end, a mail afterwards
    #[default]
    Trial,
}

const TRIAL: &[(&str, &str)] = &[
    (FILE_NAME, include_str!("../../init/hence.toml")),
    ("timelines/trial.toml", include_str!("../../init/trial.toml")),
    ("templates/trial_ending.txt", include_str!("../../init/templates/trial_ending.txt")),
    ("templates/trial_over.txt", include_str!("../../init/templates/trial_over.txt")),
    ("templates/ops_alert.txt", include_str!("../../init/templates/ops_alert.txt")),
];

pub(crate) fn run(args: &Args) -> Result<Exit, Problem> {
    let files = match args.from {
        From::Trial => TRIAL,
    };
    let there: Vec<&str> = files.iter().map(|(path, _)| *path).filter(|path| args.folder.join(path).exists()).collect();
    if !there.is_empty() {
        let message = format!("{} is there already; nothing was written", there.join(", "));
        return Err(Problem::new("HNC-0331", message, Exit::Conflict).help("choose another folder, or move these files away"));
    }
    for (path, text) in files {
        write(&args.folder.join(path), text)?;
        output::line(path);
    }
    output::note("next: `hence test`, then `hence dev --clock virtual`");
    Ok(Exit::Done)
}

fn write(path: &Path, text: &str) -> Result<(), Problem> {
    let problem = |error: std::io::Error| Problem::file("write", path, &error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(problem)?;
    }
    std::fs::write(path, text).map_err(problem)
}
