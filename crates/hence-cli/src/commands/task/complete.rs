//! `hence task complete`: the answer of a receiver that accepted a task and said that it answers later.

use hence::core::name::{Fence, Name};
use serde_json::{Value, json};

use crate::input::{object, parsed, task_id};
use crate::output::{self, Answer};
use crate::problem::{Exit, Problem};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Such as task_7, or hnc_k3v7q2ma_7 as the receiver knows it
    id: String,
    /// What came of it: done, or a word that the step says
    #[arg(default_value = "done")]
    outcome: String,
    /// The fence that the attempt carried: `hencefence` of the webhook, or `hence task show`
    #[arg(long, value_parser = fence)]
    fence: Fence,
    /// What is kept with it, as JSON or @FILE
    #[arg(long, value_name = "JSON")]
    result: Option<String>,
}

/// `7`, as the webhook carries it, or `fence_7`.
fn fence(text: &str) -> Result<Fence, String> {
    let digits = text.strip_prefix("fence_").unwrap_or(text);
    let number = digits.parse().ok().filter(|number: &i64| *number > 0);
    number.map(Fence).ok_or_else(|| "a fence is a number, such as 7".to_owned())
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Exit, Problem> {
    let outcome: Name = parsed(&args.outcome)?;
    let result: Value = object(args.result.as_deref())?;
    let client = session.client().await?;
    let id = task_id(&client, &args.id).await?;
    client.complete(id, args.fence, outcome.clone(), result).await?;
    let document = json!({ "id": id.to_string(), "outcome": outcome.to_string() });
    if !session.give(|| Answer::one(document, "id")) {
        output::line(&format!("{id} ended {outcome}"));
        output::note(&format!("next: `hence why {id}`"));
    }
    Ok(Exit::Done)
}
