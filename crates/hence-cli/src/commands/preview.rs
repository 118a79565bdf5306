//! `hence preview`: what will happen, for a made-up entity of a timeline or for a stored one, by the planner that the engine uses.
//!
//! Nothing is written, read from elsewhere or sent: facts are those that are given or stored, and receivers answer as assumed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use hence::core::carry_out;
use hence::core::history::{Record, RecordKind};
use hence::core::library::Library;
use hence::core::name::{EntityKey, EventName, Name};
use hence::core::simulate::{LINES_MAX, Line, Simulation};
use hence::core::timeline::EntitySnapshot;
use hence::core::wish::Wish;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::why::{self, Because};
use crate::definitions;
use crate::input::{Now, object, parsed, suggestion};
use crate::output::{self, Answer, Times};
use crate::problem::{Exit, Problem};
use crate::session::Session;
use crate::wire;

/// How far a preview looks when nothing else is said.
const LOOK_AHEAD: SignedDuration = SignedDuration::from_hours(24 * 366);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A timeline, such as trial, or a stored entity, such as account/42
    of: String,
    /// Where the definition stands [default: `timelines.paths` of the configuration]
    #[arg(long = "file", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// When it is enrolled, for a timeline [default: now]
    #[arg(long, value_name = "INSTANT")]
    start: Option<String>,
    /// An instant given at enrolment, for a timeline
    #[arg(long, value_name = "NAME=INSTANT")]
    given: Vec<String>,
    /// What is known, for a stored entity beside what is stored: a JSON object of objects, or @FILE
    #[arg(long, value_name = "JSON")]
    facts: Option<String>,
    /// Something that will happen, such as account.paid@tomorrow or 'account.paid@3 days'
    #[arg(long = "event", value_name = "NAME@INSTANT")]
    events: Vec<String>,
    /// What those events carry: a JSON object, or @FILE
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// What a receiver is assumed to answer; `failed` too [default: done]
    #[arg(long = "answer", value_name = "STEP=OUTCOME")]
    answers: Vec<String>,
    /// Where it ends [default: after a year]
    #[arg(long, value_name = "INSTANT")]
    until: Option<String>,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Exit, Problem> {
    let zone = session.zone()?;
    let is_stored = args.of.contains('/');
    let (mut simulation, entity, begins_at) = if is_stored {
        stored(session, args).await?
    } else {
        let now = Now { at: hence::clock::wall(), zone: zone.clone() };
        made_up(session, args, &now)?
    };
    let now = Now { at: begins_at, zone };
    foresee(&mut simulation, args, &entity, &now)?;
    let until = match &args.until {
        Some(text) => now.instant(text)?,
        None => begins_at.saturating_add(LOOK_AHEAD).unwrap_or(Timestamp::MAX),
    };
    let lines = simulation.run(until);
    if let Some(refused) = simulation.snapshot().records.iter().rev().find(|record| record.kind == RecordKind::Refused) {
        let times = session.times(begins_at)?;
        return Err(Problem::new("HNC-0303", times.sentence(&refused.reason), Exit::Usage));
    }
    let times = session.times(begins_at)?;
    let absent = not_coming(&simulation, &lines, &times);
    let document = || {
        json!({
            "begins_at": begins_at.to_string(),
            "items": lines.iter().map(json_of).collect::<Vec<_>>(),
            "not_coming": absent.iter().map(Because::json).collect::<Vec<_>>(),
        })
    };
    if !session.give(|| Answer::list(document(), "items", "step")) {
        show(&lines, begins_at, &times);
        for Because { step, reasons, .. } in &absent {
            output::line(&format!("does not come: {step}: {}", reasons.join("; ")));
        }
    }
    Ok(Exit::Done)
}

/// The steps that have nothing ahead at the end, nothing behind them and no line, with the planner's reasons.
fn not_coming(simulation: &Simulation, lines: &[Line], times: &Times) -> Vec<Because> {
    let snapshot = simulation.snapshot();
    let current = snapshot.timelines.iter().filter(|timeline| !carry_out::is_superseded(snapshot, timeline));
    let absent = current.flat_map(|timeline| why::absent(simulation.library(), (snapshot, timeline), times));
    let has_ended = |step: &str| {
        let of_step = |record: &&Record| record.step.as_ref().is_some_and(|name| name.as_str() == step);
        snapshot.records.iter().filter(of_step).any(|record| record.kind.final_state().is_some())
    };
    absent.filter(|because| !lines.iter().any(|line| line.step.as_str() == because.step) && !has_ended(&because.step)).collect()
}

/// The entity as it is stored, from the store's instant on.
async fn stored(session: &Session, args: &Args) -> Result<(Simulation, EntityKey, Timestamp), Problem> {
    if args.start.is_some() || !args.given.is_empty() || !args.paths.is_empty() {
        return Err(Problem::usage("HNC-0330", "`--start`, `--given` and `--file` are for a timeline, not for a stored entity")
            .help("a stored entity is foreseen from now on, by what it was enrolled with; `--facts` and `--event` change that"));
    }
    let client = session.client().await?;
    let key: EntityKey = parsed(&args.of)?;
    let now = client.now().await?;
    let snapshots = client.store().snapshots(std::slice::from_ref(&key)).await?;
    let snapshot = snapshots.into_iter().next().filter(|snapshot| snapshot.version > 0);
    let snapshot = snapshot.ok_or_else(|| super::entity::unknown(&key))?;
    let mut simulation = Simulation::of(client.library().as_ref().clone(), snapshot, now);
    let facts = object(args.facts.as_deref())?;
    if !facts.is_null() {
        simulation.tell(now, Wish::PutFacts { entity: key.clone(), facts });
    }
    Ok((simulation, key, now))
}

/// A new entity that is enrolled at the start.
fn made_up(session: &Session, args: &Args, now: &Now) -> Result<(Simulation, EntityKey, Timestamp), Problem> {
    let name: Name = parsed(&args.of)?;
    let files = definitions::usable(&session.definition_paths(&args.paths)?)?;
    let mut loaded = files.into_iter().filter_map(|file| file.loaded.ok()).map(|loaded| loaded.definition);
    let definition = loaded.find(|definition| definition.name == name);
    let definition = definition.ok_or_else(|| {
        Problem::not_found(format!("timeline `{name}` is not defined"))
            .help("name one of `hence check`, or an entity such as account/42")
    })?;
    let start = args.start.as_ref().map_or(Ok(now.at), |text| now.instant(text))?;
    let entity =
        EntityKey::new(definition.entity.clone(), "preview").map_err(|error| Problem::usage("HNC-0330", error.to_string()))?;
    let enrol = Wish::Enrol {
        timeline: name,
        entity: entity.clone(),
        given: now.instants(&args.given)?,
        facts: object(args.facts.as_deref())?,
    };
    let mut library = Library::default();
    library.add(Arc::new(definition));
    let mut simulation = Simulation::of(library, EntitySnapshot::unknown(entity.clone()), start);
    simulation.tell(start, enrol);
    Ok((simulation, entity, start))
}

/// Adds what is assumed to happen and to be answered.
fn foresee(simulation: &mut Simulation, args: &Args, entity: &EntityKey, now: &Now) -> Result<(), Problem> {
    let data = object(args.data.as_deref())?;
    let library = simulation.library().clone();
    let known: BTreeSet<&str> = library.all().flat_map(|definition| definition.on.keys()).map(|name| name.as_str()).collect();
    let known: Vec<&str> = known.into_iter().collect();
    for text in &args.events {
        let Some((name, at)) = text.split_once('@') else {
            return Err(
                Problem::usage("HNC-0330", format!("`{text}` is not `name@instant`")).help("such as 'account.paid@3 days'")
            );
        };
        let name: EventName = parsed(name)?;
        if !known.contains(&name.as_str()) {
            return Err(
                Problem::not_found(format!("no timeline knows the event `{name}`")).help(suggestion(name.as_str(), &known))
            );
        }
        let at = now.instant(at)?;
        if at < now.at {
            let problem = format!("`{text}` lies {} before the beginning, {}", output::rough(now.at.duration_since(at)), now.at);
            return Err(Problem::usage("HNC-0330", problem).help("what has happened is stored, or told with `hence event --at`"));
        }
        let wish = Wish::Event { entity: entity.clone(), name, data: data.clone(), facts: Value::Null };
        simulation.tell(at, wish);
    }
    for text in &args.answers {
        let Some((step, word)) = text.split_once('=') else {
            return Err(
                Problem::usage("HNC-0330", format!("`{text}` is not `step=outcome`")).help("such as `expire=deactivated`")
            );
        };
        simulation.assume(parsed(step)?, parsed(word)?);
    }
    Ok(())
}

fn json_of(line: &Line) -> Value {
    json!({
        "at": line.at.to_string(),
        "due_at": line.due_at.to_string(),
        "step": line.step.as_str(),
        "occurrence": line.occurrence,
        "outcome": line.outcome,
        "reason": wire::reason(&line.reason),
    })
}

/// A drawn timeline: one mark for each end, with the time between them.
fn show(lines: &[Line], begins_at: Timestamp, times: &Times) {
    // The names of a zone in winter and in summer may differ in length.
    let widest =
        lines.iter().map(|line| line.at).chain([begins_at]).map(|at| times.minute(at).chars().count()).max().unwrap_or(0);
    let blank = " ".repeat(widest);
    output::line(&format!("{:<widest$}  ┬", times.minute(begins_at)));
    let mut before = begins_at;
    for line in lines {
        if line.at > before {
            output::line(&format!("{blank}  │ {}", output::rough(line.at.duration_since(before))));
        }
        before = line.at;
        let mark = match line.outcome.as_str() {
            "skipped" | "cancelled" | "expired" => "○",
            "failed" | "unknown" | "held" => "✗",
            _ => "●",
        };
        let because = times.sentence(&line.reason);
        let text = format!("{:<widest$}  {mark} {} {}: {because}", times.minute(line.at), line.step, line.outcome);
        output::folded(blank.len() + 4, output::PLAIN, &text);
    }
    if lines.is_empty() {
        output::line(&format!("{blank}  nothing happens"));
    }
    if lines.len() >= LINES_MAX {
        output::note(&format!("only the first {LINES_MAX} are shown; end it sooner with --until"));
    }
}
