//! `hence check`: every problem and every oddity of definitions, all at once, each with its place.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::serve::transports;
use crate::definitions::{self, File};
use crate::diagnostics::{self, Format};
use crate::output::{self, Answer};
use crate::problem::{Exit, Problem};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, or folders of `.toml` files [default: `timelines.paths` of the configuration]
    paths: Vec<PathBuf>,
    /// How problems are written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Exit, Problem> {
    let files = definitions::read(&session.definition_paths(&args.paths)?)?;
    let usable = files.iter().filter_map(|file| file.loaded.as_ref().ok()).map(|loaded| &loaded.definition);
    // Without a usable configuration there is no folder of templates to look at, and `hence doctor` says why.
    let mails = session.config().map_or_else(|_| Vec::new(), |config| transports::unknown_names(config, usable));
    match args.format {
        Format::Human if session.give(|| Answer::list(document(&files, &mails), "files", "file")) => {}
        Format::Human => {
            human(&files);
            let red = output::RED;
            mails.iter().for_each(|text| output::line(&format!("{red}wrong{red:#} {text}")));
        }
        Format::Sarif => output::json(&diagnostics::sarif(&files)),
        Format::Github => {
            for file in &files {
                for diagnostic in file.diagnostics() {
                    output::line(&diagnostics::github(&file.path, &file.source, diagnostic));
                }
            }
        }
        Format::Json => output::json(&document(&files, &mails)),
    }
    Ok(if mails.is_empty() && files.iter().all(|file| file.loaded.is_ok()) { Exit::Done } else { Exit::Definitions })
}

fn human(files: &[File]) {
    for file in files {
        for diagnostic in file.diagnostics() {
            output::line(&diagnostics::human(&file.path, &file.source, diagnostic));
            output::line("");
        }
    }
    for file in files {
        let path = file.path.display();
        match &file.loaded {
            Ok(loaded) => {
                let (green, definition) = (output::GREEN, &loaded.definition);
                let (steps, tests) = (definition.steps.len(), definition.tests.len());
                let odd = match loaded.warnings.len() {
                    0 => String::new(),
                    count => format!(", {count} warning(s)"),
                };
                output::line(&format!(
                    "{green}ok{green:#}    {path}: {} with {steps} step(s), {tests} test(s){odd}",
                    definition.name
                ));
            }
            Err(problems) => {
                let red = output::RED;
                output::line(&format!("{red}wrong{red:#} {path}: {} problem(s); `hence explain CODE` has more", problems.len()));
            }
        }
    }
}

fn document(files: &[File], mails: &[String]) -> Value {
    let of = |file: &File| {
        let found: Vec<Value> =
            file.diagnostics().iter().map(|diagnostic| diagnostics::json(&file.path, &file.source, diagnostic)).collect();
        let definition = file.loaded.as_ref().ok().map(|loaded| &loaded.definition);
        json!({
            "file": file.path.display().to_string(),
            "is_usable": file.loaded.is_ok(),
            "timeline": definition.map(|definition| definition.name.to_string()),
            "hash": definition.map(|definition| definition.hash.to_string()),
            "diagnostics": found,
        })
    };
    json!({ "files": files.iter().map(of).collect::<Vec<_>>(), "mail_templates": mails })
}
