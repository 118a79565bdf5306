//! `hence config`: what is configured, where it comes from, and whether all that it names is there.

use std::path::Path;

use serde_json::json;

use super::doctor;
use crate::config::{Config, FILE_NAME};
use crate::output::{self, Answer};
use crate::problem::{Exit, Problem};
use crate::session::Session;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show every key that holds, secrets masked
    Show {
        /// Where each comes from: the defaults, the file, or a variable
        #[arg(long)]
        origin: bool,
    },
    /// Look whether every key fits, and all that it names is there
    Check,
    /// Print where the file is
    Path,
}

pub(crate) fn run(session: &Session, command: &Command) -> Result<Exit, Problem> {
    let given = session.global.config.as_deref();
    match command {
        Command::Show { origin } => show(session, given, *origin),
        Command::Check => {
            let findings = doctor::configuration(session);
            doctor::show(session, &findings);
            Ok(if findings.iter().all(|finding| finding.is_good) { Exit::Done } else { Exit::Usage })
        }
        Command::Path => path(session, given),
    }
}

fn show(session: &Session, given: Option<&Path>, has_origin: bool) -> Result<Exit, Problem> {
    let held = Config::held(given)?;
    let document = || {
        let keys = held.iter().map(|held| json!({ "key": held.key, "value": held.value, "origin": held.origin.to_string() }));
        json!({ "keys": keys.collect::<Vec<_>>() })
    };
    if session.give(|| Answer::list(document(), "keys", "key")) {
        return Ok(Exit::Done);
    }
    if !has_origin {
        held.iter().for_each(|held| output::line(&format!("{} = {}", held.key, held.value)));
        return Ok(Exit::Done);
    }
    let mut table = output::table(&["key", "value", "from"]);
    for held in &held {
        table.add_row([held.key.clone(), held.value.to_string(), held.origin.to_string()]);
    }
    output::show(&table);
    Ok(Exit::Done)
}

fn path(session: &Session, given: Option<&Path>) -> Result<Exit, Problem> {
    let config = Config::load(given)?;
    let Some(file) = &config.file else {
        return Err(Problem::not_found(format!("there is no {FILE_NAME} from here upward; the defaults hold"))
            .help("make one with `hence init`; what holds: `hence config show`"));
    };
    let path = file.display().to_string();
    if !session.give(|| Answer::one(json!({ "path": path }), "path")) {
        output::line(&path);
    }
    Ok(Exit::Done)
}
