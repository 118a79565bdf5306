//! `hence task schedule`: one task for one entity, without a definition.

use hence::core::name::{EntityKey, Name};
use hence::core::wish::Wish;
use hence::{Telling, Told};
use serde_json::{Value, json};

use super::super::event;
use crate::input::{self, Now, parsed};
use crate::output::{self, Answer};
use crate::problem::{Exit, Problem};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For whom, such as account/42
    entity: String,
    /// Its name; scheduling the same name again while it waits moves it and changes what it does
    name: String,
    /// When: an instant, or a span from now
    #[arg(long, value_name = "INSTANT")]
    at: String,
    /// What it does, as the `do` of a step in JSON, or @FILE: {"webhook": "app", "path": "/call"}
    #[arg(long = "do", value_name = "JSON")]
    action: String,
    /// Makes telling it twice the same as once
    #[arg(long)]
    key: Option<String>,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Exit, Problem> {
    let (entity, name): (EntityKey, Name) = (parsed(&args.entity)?, parsed(&args.name)?);
    let action = input::object(Some(&args.action))?;
    let client = session.client_or_new().await?;
    let now = Now { at: client.now().await?, zone: session.zone()? };
    let due_at = now.instant(&args.at)?;
    let mut telling = Telling::facts(entity.clone(), Value::Null);
    telling.wish = Wish::Schedule { entity: entity.clone(), key: name.clone(), due_at, action };
    if let Some(key) = &args.key {
        telling = telling.key(key);
    }
    let told = client.tell(telling).await?;
    let snapshots = client.store().snapshots(std::slice::from_ref(&entity)).await?;
    let mut live = snapshots.into_iter().flat_map(|snapshot| snapshot.live);
    let id = live.find(|task| task.timeline.is_none() && task.step == name).map(|task| task.id.to_string());
    let document = json!({
        "id": id, "entity": entity.to_string(), "name": name.to_string(), "due_at": due_at.to_string(),
        "told": event::word(&told), "not_yet": event::not_yet(&told),
    });
    if !matches!(told, Told::Refused { .. }) && session.give(|| Answer::one(document, "id")) {
        return Ok(Exit::Done);
    }
    let times = session.times(now.at)?;
    let called = id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
    event::say(&told, &format!("{name} of {entity} is scheduled for {}{called}", times.said(due_at)))?;
    output::note(&format!("next: `hence upcoming {entity}`, `hence task cancel {}`", id.as_deref().unwrap_or("ID")));
    Ok(Exit::Done)
}
