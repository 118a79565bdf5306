//! `hence doctor`: looks at everything that could keep Hence from working, and says what to do.

use serde_json::json;

use super::serve::transports;
use crate::definitions;
use crate::output;
use crate::problem::{Exit, Problem};
use crate::session::Session;

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    is_good: bool,
    text: String,
}

pub(crate) async fn run(session: &Session) -> Result<Exit, Problem> {
    let mut findings = Vec::new();
    let mut find = |what, is_good, text: String| findings.push(Finding { what, is_good, text });
    match session.config() {
        Ok(config) => {
            find("configuration", true, config.file.as_ref().map_or_else(|| "none; defaults hold".to_owned(), |_| config.place()))
        }
        Err(problem) => find("configuration", false, problem.to_string()),
    }
    match session.definition_paths(&[]).and_then(|paths| definitions::read(&paths)) {
        Ok(files) => {
            let broken = files.iter().filter(|file| file.loaded.is_err()).count();
            let text =
                if broken == 0 { format!("{} usable", files.len()) } else { format!("{broken} broken; run `hence check`") };
            find("definitions", broken == 0, text);
        }
        Err(problem) => find("definitions", false, problem.to_string()),
    }
    match session.client().await {
        Ok(client) => {
            findings.extend(store(&client).await?);
            findings.extend(delivery(session, &client));
        }
        Err(problem) => find("store", false, problem.to_string()),
    }
    show(session, &findings);
    Ok(if findings.iter().all(|finding| finding.is_good) { Exit::Done } else { Exit::Failed })
}

async fn store(client: &hence::Client) -> Result<Vec<Finding>, Problem> {
    let mut findings = Vec::new();
    let mut find = |what, is_good, text: String| findings.push(Finding { what, is_good, text });
    let identity = client.store().identity().await?;
    find("store", true, format!("{} at schema {}", identity.store_id, identity.schema_version));
    let reading = client.clock().read().await?;
    let kind = if reading.target.is_some() { "virtual: it moves only when it is advanced" } else { "the machine's" };
    find("clock", true, kind.to_owned());
    let totals = client.store().totals().await?;
    let late = totals.next_wake_at.filter(|at| reading.now.duration_since(*at) > jiff::SignedDuration::from_mins(1));
    match late {
        Some(at) => find("engine", false, format!("something was to start {at} and did not; start one with `hence serve`")),
        None if totals.wishes > 0 => {
            find("engine", false, format!("{} in the inbox; start one with `hence serve`", totals.wishes))
        }
        None => find("engine", true, "nothing is late".to_owned()),
    }
    let held = totals.live.get(&hence::core::task::TaskState::Held).copied().unwrap_or(0);
    let text = if held == 0 { "none".to_owned() } else { format!("{held} wait for a person: `hence upcoming --state held`") };
    find("held", held == 0, text);
    Ok(findings)
}

fn delivery(session: &Session, client: &hence::Client) -> Vec<Finding> {
    let finding = |is_good, text| Finding { what: "delivery", is_good, text };
    match transports::configured(session, None) {
        Err(problem) => vec![finding(false, problem.to_string())],
        Ok(transports) => {
            let transports = if session.is_on_development_store() { transports.with_mails_caught() } else { transports };
            let warnings = transports.warnings(&client.library());
            if warnings.is_empty() {
                return vec![finding(true, "everything that the timelines want is configured".to_owned())];
            }
            warnings.into_iter().map(|warning| finding(false, warning)).collect()
        }
    }
}

fn show(session: &Session, findings: &[Finding]) {
    if session.is_json() {
        let of = |finding: &Finding| json!({ "what": finding.what, "is_good": finding.is_good, "text": finding.text });
        return output::json(&json!({ "findings": findings.iter().map(of).collect::<Vec<_>>() }));
    }
    let (green, red) = (output::GREEN, output::RED);
    for Finding { what, is_good, text } in findings {
        let word = if *is_good { format!("{green}good{green:#}") } else { format!("{red}mend{red:#}") };
        output::line(&format!("{word}  {what}: {text}"));
    }
}
