//! `hence audit`: who is enrolled, compared with who should be.

use hence::{AuditMode, AuditReport, Healing};
use serde_json::{Value, json};

use crate::input::known;
use crate::output::{self, Answer};
use crate::problem::{Exit, Problem};
use crate::session::Session;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Compare, and heal as the timelines say; the engine does so by itself as often as `every` says
    Run(Args),
    /// Compare, and change nothing
    Findings(Args),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this timeline [default: all that have `[audit]`]
    timeline: Option<String>,
}

pub(crate) async fn run(session: &Session, command: &Command) -> Result<Exit, Problem> {
    let (args, mode) = match command {
        Command::Run(args) => (args, AuditMode::Heal),
        Command::Findings(args) => (args, AuditMode::Look),
    };
    let client = session.client().await?;
    let mut reports = Vec::new();
    match known(&client, args.timeline.as_deref(), None)?.0 {
        Some(timeline) => reports.push(client.audit(&timeline, mode).await?),
        None => {
            for definition in client.library().all_current().filter(|definition| definition.audit.is_some()) {
                reports.push(client.audit(&definition.name, mode).await?);
            }
        }
    }
    let document = || json!({ "items": reports.iter().map(wire).collect::<Vec<Value>>() });
    if !session.give(|| Answer::list(document(), "items", "timeline")) {
        show(&reports);
    }
    Ok(Exit::Done)
}

fn show(reports: &[AuditReport]) {
    if reports.is_empty() {
        return output::note("no timeline has `[audit]`");
    }
    let mut table = output::table(&["timeline", "entity", "found", "result"]);
    let mut is_empty = true;
    for report in reports {
        for finding in &report.findings {
            is_empty = false;
            let cells = [
                report.timeline.to_string(),
                finding.entity.to_string(),
                finding.kind.as_str().to_owned(),
                word(&finding.result),
            ];
            table.add_row(cells);
        }
    }
    if !is_empty {
        output::show(&table);
    }
    for report in reports {
        let found: usize = report.counts.values().sum();
        output::note(&format!("{}: {} should be enrolled, {found} differences", report.timeline, report.expected));
    }
}

fn word(result: &Healing) -> String {
    match result {
        Healing::Reported => "left as it is".to_owned(),
        Healing::Healed => "healed".to_owned(),
        Healing::NotHealed(why) => format!("not healed: {why}"),
    }
}

fn wire(report: &AuditReport) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            let entity = finding.entity.to_string();
            json!({ "entity": entity, "found": finding.kind.as_str(), "result": word(&finding.result) })
        })
        .collect();
    json!({
        "timeline": report.timeline.to_string(),
        "at": report.at.to_string(),
        "expected": report.expected,
        "differences": report.counts.values().sum::<usize>(),
        "findings": findings,
    })
}
