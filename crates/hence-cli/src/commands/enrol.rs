//! `hence enrol`: one entity, or a file of thousands.

mod import;

use std::path::PathBuf;
use std::sync::Arc;

use hence::core::definition::Definition;
use hence::core::name::{EntityKey, Name};
use hence::{Client, Enrolment, Telling, Told};
use serde_json::{Value, json};

use super::event;
use super::why::{self, Because};
use crate::definitions;
use crate::input::{self, Now, parsed};
use crate::output::{self, Answer};
use crate::problem::{Exit, Problem};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The timeline's name
    timeline: String,
    /// Whom, such as account/42
    #[arg(required_unless_present = "from")]
    entity: Option<String>,
    /// An instant that the timeline is counted from, such as created_at=2026-03-02; may be repeated [default: now]
    #[arg(long, value_name = "NAME=INSTANT")]
    given: Vec<String>,
    /// What is known, as JSON or @FILE: {"account": {"email": "a@example.com"}}
    #[arg(long, value_name = "JSON")]
    facts: Option<String>,
    /// When it happened [default: now]
    #[arg(long, value_name = "INSTANT")]
    at: Option<String>,
    /// Many at once, from a .csv or .jsonl file, or from `-` for standard input, with the columns id, given instants, and group.field for
    /// facts
    #[arg(long, value_name = "FILE", conflicts_with_all = ["entity", "given", "facts", "at"])]
    from: Option<PathBuf>,
    /// With --from: enrols the good rows although others are bad
    #[arg(long, requires = "from")]
    partial: bool,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Exit, Problem> {
    let name: Name = parsed(&args.timeline)?;
    if session.global.store.is_none() && !session.config()?.store.may_be_there() {
        // Before a store is made: as long as there is none, only a file can define it.
        in_files(session, &name, Vec::new())?;
    }
    let client = session.client_of_configured_store().await?;
    let definition = definition(session, &client, &name).await?;
    let now = Now { at: client.now().await?, zone: session.zone()? };
    match (&args.from, &args.entity) {
        (Some(path), _) => import::run(session, import::Import { client, definition, now, path, is_partial: args.partial }).await,
        (None, Some(entity)) => one(session, &client, (parsed(entity)?, &definition), (args, &now)).await,
        (None, None) => Err(Problem::usage("HNC-0330", "no entity was named")),
    }
}

async fn one(
    session: &Session,
    client: &Client,
    (entity, definition): (EntityKey, &Definition),
    (args, now): (&Args, &Now),
) -> Result<Exit, Problem> {
    let facts = input::object(args.facts.as_deref())?;
    let missing = not_given(definition, &facts);
    let mut enrolment = Enrolment::new(definition.name.clone(), entity.clone()).facts(facts);
    for (name, at) in now.instants(&args.given)? {
        enrolment = enrolment.given(name, at);
    }
    let mut telling = Telling::enrol(enrolment);
    if let Some(text) = &args.at {
        telling = telling.at(now.instant(text)?);
    }
    let told = client.tell(telling).await?;
    let name = &definition.name;
    let unplanned = if told == Told::CarriedOut { without_anchor(session, client, (&entity, name)).await? } else { Vec::new() };
    let document = json!({
        "entity": entity.to_string(),
        "timeline": name.to_string(),
        "told": event::word(&told),
        "not_yet": event::not_yet(&told),
        "not_planned": unplanned.iter().map(Because::json).collect::<Vec<_>>(),
    });
    if !matches!(told, Told::Refused { .. }) && session.give(|| Answer::one(document, "entity")) {
        return Ok(Exit::Done);
    }
    event::say(&told, &format!("{entity} enrolled in {name}"))?;
    if matches!(told, Told::CarriedOut) && !missing.is_empty() {
        output::note(&format!("warning: {} not given; a step that needs it is tried again until it is told", missing.join(", ")));
    }
    for Because { step, reasons, .. } in &unplanned {
        output::note(&format!("not planned yet: `{step}`: {}", reasons.join("; ")));
    }
    let whom = output::quoted(&entity.to_string());
    output::note(&format!("next: `hence upcoming {whom}`, `hence why {whom}`"));
    Ok(Exit::Done)
}

/// Facts that may not be null, that nobody reads from elsewhere, and that these facts lack.
fn not_given(definition: &Definition, facts: &Value) -> Vec<String> {
    let pushed = definition.facts.iter().filter(|(_, group)| group.source.is_none());
    let needed = pushed.flat_map(|(name, group)| {
        let fields = group.fields.iter().filter(|(_, kind)| !kind.nullable);
        fields.map(move |(field, _)| (name.as_str(), field.as_str()))
    });
    let lacks = |(group, field): &(&str, &str)| facts[*group][*field].is_null();
    needed.filter(lacks).map(|(group, field)| format!("`{group}.{field}`")).collect()
}

/// The steps of the entity's newest run that have no task because the instant is not known that they are counted from.
async fn without_anchor(
    session: &Session,
    client: &Client,
    (entity, name): (&EntityKey, &Name),
) -> Result<Vec<Because>, Problem> {
    let times = session.times(client.now().await?)?;
    let snapshots = client.store().snapshots(std::slice::from_ref(entity)).await?;
    let Some(snapshot) = snapshots.first() else { return Ok(Vec::new()) };
    let newest = snapshot.timelines.iter().filter(|timeline| timeline.name == *name).max_by_key(|timeline| timeline.run);
    let absent = newest.map(|timeline| why::absent(&client.library(), (snapshot, timeline), &times)).unwrap_or_default();
    Ok(absent.into_iter().filter(|because| because.data.iter().any(|reason| reason["why"] == "no_anchor")).collect())
}

/// The current definition of that name: as stored, or else from the configured files, which are then stored.
async fn definition(session: &Session, client: &Client, name: &Name) -> Result<Arc<Definition>, Problem> {
    if let Some(definition) = client.library().current(name) {
        return Ok(Arc::clone(definition));
    }
    let known = client.library().all_current().map(|definition| definition.name.to_string()).collect();
    let file = in_files(session, name, known)?;
    let stored = client.put_definition(&file.source).await?;
    output::note(&format!("stored timeline `{name}` ({}) from {}", stored.hash.short(), file.path.display()));
    Ok(stored)
}

/// The configured file that defines the timeline; `known` are those that are stored.
fn in_files(session: &Session, name: &Name, mut known: Vec<String>) -> Result<definitions::File, Problem> {
    let paths = session.definition_paths(&[])?;
    let mut unknown = || {
        let files = definitions::read(&paths).unwrap_or_default();
        known.extend(files.iter().filter_map(|file| file.loaded.as_ref().ok()).map(|loaded| loaded.definition.name.to_string()));
        known.sort_unstable();
        known.dedup();
        let suggestion = input::suggestion(name.as_str(), &known.iter().map(String::as_str).collect::<Vec<_>>());
        Problem::new("HNC-0301", format!("timeline `{name}` is not defined"), Exit::NotFound)
            .help(format!("{suggestion} (files are looked for in {})", session.global.place()))
    };
    if !paths.iter().all(|path| path.exists()) {
        return Err(unknown());
    }
    let of_name = |file: &definitions::File| file.loaded.as_ref().is_ok_and(|loaded| &loaded.definition.name == name);
    definitions::usable(&paths)?.into_iter().find(of_name).ok_or_else(unknown)
}
