//! `hence doctor`: looks at everything that could keep Hence from working, and says what to do.

use std::sync::Arc;

use hence::Client;
use hence::core::library::Library;
use serde_json::json;

use super::serve::transports::{self, MailsGo};
use super::status::{Inbox, OLD};
use crate::definitions;
use crate::output::{self, Answer};
use crate::problem::{Exit, Problem};
use crate::session::Session;

/// One thing that was looked at.
pub(super) struct Finding {
    what: &'static str,
    pub(super) is_good: bool,
    text: String,
}

impl Finding {
    fn good(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, is_good: true, text: text.into() }
    }

    fn mend(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, is_good: false, text: text.into() }
    }
}

pub(crate) async fn run(session: &Session) -> Result<Exit, Problem> {
    let mut findings = configuration(session);
    if session.config().is_err() {
        // Everything else would say the same again.
        show(session, &findings);
        return Ok(Exit::Failed);
    }
    let mut library = Library::default();
    match session.definition_paths(&[]).and_then(|paths| definitions::read(&paths)) {
        Ok(files) => {
            let broken = files.iter().filter(|file| file.loaded.is_err()).count();
            findings.push(match broken {
                0 => Finding::good("definitions", format!("{} usable", files.len())),
                _ => Finding::mend("definitions", format!("{broken} broken; run `hence check`")),
            });
            files.into_iter().filter_map(|file| file.loaded.ok()).for_each(|loaded| library.add(Arc::new(loaded.definition)));
        }
        Err(problem) => findings.push(Finding::mend("definitions", problem.to_string())),
    }
    match session.client().await {
        Ok(client) => {
            findings.extend(store(&client).await?);
            // What is stored and stands in no file any more is delivered too.
            let stored = client.library();
            stored
                .all_current()
                .filter(|stored| library.current(&stored.name).is_none())
                .cloned()
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|stored| library.add(stored));
        }
        Err(problem) => findings.push(Finding::mend("store", problem.to_string())),
    }
    if session.config().is_ok() {
        findings.extend(delivery(session, &library));
    }
    show(session, &findings);
    Ok(if findings.iter().all(|finding| finding.is_good) { Exit::Done } else { Exit::Failed })
}

/// Whether the configuration fits, and what it names is there.
pub(super) fn configuration(session: &Session) -> Vec<Finding> {
    let config = match session.config() {
        Err(problem) => return vec![Finding::mend("configuration", problem.to_string())],
        Ok(config) => config,
    };
    let mut findings = vec![match &config.file {
        Some(_) => Finding::good("configuration", config.place()),
        None => Finding::good("configuration", "no hence.toml from here upward; the defaults hold"),
    }];
    for path in config.timelines.iter().filter(|path| !path.exists()) {
        findings.push(Finding::mend("timelines", format!("{} is not there; mend `[timelines] paths`", path.display())));
    }
    for (name, place) in &config.sources {
        if let Place::File(path) = place
            && !path.is_file()
        {
            findings.push(Finding::mend("sources", format!("`sources.{name}`: there is no file {}", path.display())));
        }
    }
    if let Err(problem) = transports::configured(session, MailsGo::AsConfigured) {
        findings.push(Finding::mend("targets and mail", problem.to_string()));
    }
    findings
}

async fn store(client: &Client) -> Result<Vec<Finding>, Problem> {
    let identity = client.store().identity().await?;
    let mut findings = vec![Finding::good("store", format!("{} at schema {}", identity.store_id, identity.schema_version))];
    let reading = client.clock().read().await?;
    let kind = if reading.target.is_some() { "virtual: it moves only when it is advanced" } else { "the machine's" };
    findings.push(Finding::good("clock", kind));
    let totals = client.store().totals().await?;
    let late = totals.next_wake_at.filter(|at| reading.now.duration_since(*at) > OLD);
    findings.push(match late {
        Some(at) => Finding::mend("engine", format!("something was to start {at} and did not; start one with `hence serve`")),
        None => Finding::good("engine", "nothing is late"),
    });
    let inbox = Inbox::read(client, &totals).await?;
    findings.push(match inbox.stuck(reading.now) {
        Some(text) => Finding::mend("inbox", text),
        None => Finding::good("inbox", "nothing waits"),
    });
    let held = totals.live.get(&hence::core::task::TaskState::Held).copied().unwrap_or(0);
    findings.push(match held {
        0 => Finding::good("held", "none"),
        _ => Finding::mend("held", format!("{held} wait for a person: `hence upcoming --state held`")),
    });
    Ok(findings)
}

fn delivery(session: &Session, library: &Library) -> Vec<Finding> {
    let mails = if session.is_on_development_store() { MailsGo::Caught } else { MailsGo::AsConfigured };
    match transports::configured(session, mails) {
        Err(problem) => vec![Finding::mend("delivery", problem.to_string())],
        Ok(transports) => {
            let warnings = transports.warnings(library);
            if warnings.is_empty() {
                return vec![Finding::good("delivery", "everything that the timelines want is configured")];
            }
            warnings.into_iter().map(|warning| Finding::mend("delivery", warning)).collect()
        }
    }
}

/// Writes what was found.
pub(super) fn show(session: &Session, findings: &[Finding]) {
    let of = |finding: &Finding| json!({ "what": finding.what, "is_good": finding.is_good, "text": finding.text });
    let document = || json!({ "findings": findings.iter().map(of).collect::<Vec<_>>() });
    if session.give(|| Answer::list(document(), "findings", "what")) {
        return;
    }
    let (green, red) = (output::GREEN, output::RED);
    for Finding { what, is_good, text } in findings {
        let word = if *is_good { format!("{green}good{green:#}") } else { format!("{red}mend{red:#}") };
        output::line(&format!("{word}  {what}: {text}"));
    }
}
