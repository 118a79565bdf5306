//! The shortest program: a definition, a handler, and somebody who is enrolled. Run it with `cargo run -p embedding --bin small`.
#![allow(clippy::print_stdout)] // what it prints is what it shows

use hence::Hence;
use hence::dispatch::{HandlerContext, HandlerReply};
use hence::serde_json::json;

const WELCOME: &str = r#"
    [timeline]
    name   = "welcome"
    entity = "account"
    anchor = "created_at"
    [facts.account]
    fields = { name = "string" }
    [step.greet]
    do  = { handler = "mail", data = { name = "{account.name}" } }
    [step.ask]
    due = "3 days"
    do  = { handler = "mail", data = { name = "{account.name}" } }
"#;

#[derive(serde::Deserialize)]
struct Input {
    data: Data,
}

#[derive(serde::Deserialize)]
struct Data {
    name: String,
}

#[tokio::main]
async fn main() -> Result<(), hence::Error> {
    let (sent, mut mails) = tokio::sync::mpsc::unbounded_channel();
    let mail = move |context: HandlerContext, input: Input| {
        let sent = sent.clone();
        async move {
            let _ = sent.send(format!("mail `{}` to {}", context.attempt.step, input.data.name));
            Ok(HandlerReply::done())
        }
    };
    let hence = Hence::builder().definition(WELCOME).handler("mail", mail).start().await?;
    hence.enrol("welcome", "account/42", json!({ "account": { "name": "Ann" } })).await?;
    println!("{}", mails.recv().await.unwrap_or_default());
    if let Some(task) = hence.upcoming("account/42").await?.last() {
        let days = task.due_at.duration_since(task.created_at).as_secs_f64() / 86_400.0;
        println!("ahead: {} in {days:.0} days", task.step);
    }
    hence.stop().await?;
    Ok(())
}
