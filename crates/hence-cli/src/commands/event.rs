//! `hence event`: tells Hence that something happened to an entity.

use std::collections::BTreeSet;

use hence::core::name::{EntityKey, EventName};
use hence::{Client, NotYet, Telling, Told};
use serde_json::{Value, json};

use super::entity;
use crate::input::{self, Now, parsed};
use crate::output::{self, Answer};
use crate::problem::{Exit, Problem};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// To whom, such as account/42
    entity: String,
    /// What, such as account.paid
    name: String,
    /// What the event carries, as JSON or @FILE
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// Facts that are known now, as JSON or @FILE: {"account": {"paid_at": "…"}}
    #[arg(long, value_name = "JSON")]
    facts: Option<String>,
    /// When it happened [default: now]
    #[arg(long, value_name = "INSTANT")]
    at: Option<String>,
    /// Makes telling it twice the same as once
    #[arg(long)]
    key: Option<String>,
    /// Tells it although nobody knows the entity yet, or no timeline knows the event
    #[arg(long)]
    anyway: bool,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Exit, Problem> {
    let entity: EntityKey = parsed(&args.entity)?;
    let name: EventName = parsed(&args.name)?;
    let (data, facts) = (input::object(args.data.as_deref())?, input::object(args.facts.as_deref())?);
    let client = session.client().await?;
    if !args.anyway {
        entity::known(&client, &entity).await.map_err(|problem| {
            problem.help("list who is known with `hence entity list`, or tell it all the same with `--anyway`")
        })?;
        if facts.is_null() {
            known(&client, &name)?;
        }
    }
    let mut telling = Telling::event(entity.clone(), name.clone(), data, facts);
    if let Some(text) = &args.at {
        let now = Now { at: client.now().await?, zone: session.zone()? };
        telling = telling.at(now.instant(text)?);
    }
    if let Some(key) = &args.key {
        telling = telling.key(key);
    }
    let told = client.tell(telling).await?;
    let what = format!("{name} of {entity}");
    let document =
        json!({ "entity": entity.to_string(), "event": name.to_string(), "told": word(&told), "not_yet": not_yet(&told) });
    if !matches!(told, Told::Refused { .. }) && session.give(|| Answer::one(document, "entity")) {
        return Ok(Exit::Done);
    }
    say(&told, &what)?;
    let whom = output::quoted(&entity.to_string());
    output::note(&format!("next: `hence why {whom}`, `hence upcoming {whom}`"));
    Ok(Exit::Done)
}

/// Refuses an event that no timeline knows and that carries no facts: nothing would come of it.
fn known(client: &Client, name: &EventName) -> Result<(), Problem> {
    let library = client.library();
    let names: BTreeSet<&str> = library.all().flat_map(|definition| definition.on.keys()).map(|name| name.as_str()).collect();
    if names.contains(name.as_str()) {
        return Ok(());
    }
    let near = input::suggestion(name.as_str(), &names.into_iter().collect::<Vec<_>>());
    Err(Problem::not_found(format!("no timeline knows the event `{name}`"))
        .help(input::or_else(&near, "tell it all the same with `--anyway`")))
}

/// What became of it, in one word for programs.
pub(crate) fn word(told: &Told) -> &'static str {
    match told {
        Told::CarriedOut => "carried_out",
        Told::AlreadyEnrolled => "already_enrolled",
        Told::Duplicate => "duplicate",
        Told::Accepted(_) => "accepted",
        Told::Refused { .. } => "refused",
    }
}

/// Why it is not carried out yet, for programs; null when it is.
pub(crate) fn not_yet(told: &Told) -> Value {
    let Told::Accepted(not_yet) = told else { return Value::Null };
    let mut value = json!({ "why": not_yet.as_str(), "text": not_yet.to_string() });
    match not_yet {
        NotYet::FactsUnread { code, problem, try_at } => {
            value["code"] = json!(code);
            value["problem"] = json!(problem);
            value["try_at"] = json!(try_at.to_string());
        }
        NotYet::StoreFailed { problem } => value["problem"] = json!(problem),
        // Its word and its sentence are there.
        _ => {}
    }
    value
}

/// What became of it, for people.
/// # Errors
/// It was refused.
pub(crate) fn say(told: &Told, what: &str) -> Result<(), Problem> {
    output::line(&match told {
        Told::CarriedOut => format!("told: {what}"),
        Told::AlreadyEnrolled => format!("{what}: enrolled already, nothing changed"),
        Told::Duplicate => format!("{what}: told before under this key, nothing changed"),
        Told::Accepted(not_yet) => format!("accepted: {what}; not carried out yet, because {not_yet}"),
        Told::Refused { code, problem } => {
            return Err(Problem::new(code, problem.clone(), Exit::Usage).help("nothing was changed"));
        }
    });
    Ok(())
}
