//! `hence init`: a configuration, a first timeline with tests that pass, and its mail templates; the files stand in `init/`.

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
    /// Reminders of an open invoice in office hours, then collection
    Dunning,
    /// Reminders before an appointment, and a question after it
    Reminders,
    /// The smallest that works: one step, two tests
    Blank,
}

/// A file's path and its text.
type File = (&'static str, &'static str);

const TRIAL: &[File] = &[
    (FILE_NAME, include_str!("../../init/trial/hence.toml")),
    ("timelines/trial.toml", include_str!("../../init/trial/timelines/trial.toml")),
    ("templates/trial_ending.txt", include_str!("../../init/trial/templates/trial_ending.txt")),
    ("templates/trial_over.txt", include_str!("../../init/trial/templates/trial_over.txt")),
    ("templates/ops_alert.txt", include_str!("../../init/trial/templates/ops_alert.txt")),
];

const DUNNING: &[File] = &[
    (FILE_NAME, include_str!("../../init/dunning/hence.toml")),
    ("timelines/dunning.toml", include_str!("../../init/dunning/timelines/dunning.toml")),
    ("templates/dunning_friendly.txt", include_str!("../../init/dunning/templates/dunning_friendly.txt")),
    ("templates/dunning_firm.txt", include_str!("../../init/dunning/templates/dunning_firm.txt")),
    ("templates/dunning_handed_over.txt", include_str!("../../init/dunning/templates/dunning_handed_over.txt")),
    ("templates/ops_alert.txt", include_str!("../../init/dunning/templates/ops_alert.txt")),
];

const REMINDERS: &[File] = &[
    (FILE_NAME, include_str!("../../init/reminders/hence.toml")),
    ("timelines/reminders.toml", include_str!("../../init/reminders/timelines/reminders.toml")),
    ("templates/please_confirm.txt", include_str!("../../init/reminders/templates/please_confirm.txt")),
    ("templates/see_you.txt", include_str!("../../init/reminders/templates/see_you.txt")),
    ("templates/how_was_it.txt", include_str!("../../init/reminders/templates/how_was_it.txt")),
];

const BLANK: &[File] = &[
    (FILE_NAME, include_str!("../../init/blank/hence.toml")),
    ("timelines/first.toml", include_str!("../../init/blank/timelines/first.toml")),
];

pub(crate) fn run(args: &Args) -> Result<Exit, Problem> {
    let files = match args.from {
        From::Trial => TRIAL,
        From::Dunning => DUNNING,
        From::Reminders => REMINDERS,
        From::Blank => BLANK,
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
