//! The setting of Hence for a workload: a store, a definition, a client, an engine with a handler that decodes its input.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use hence::core::name::{EntityKey, Name};
use hence::dispatch::{Dispatchers, HandlerContext, HandlerReply, Handlers};
use hence::store::sqlite::{OpenMode, SqliteOptions, SqliteStore};
use hence::{Client, Engine, EngineOptions, Enrolment, FactReaders, Telling, Told};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::sync::Notify;

use super::Options;

/// One task for each entity.
pub(super) const ONE: &str = r#"
[timeline]
name = "one"
entity = "account"
anchor = "due"

[facts.item]
fields = { kind = "string", number = "int", note = "string" }

[step.act]
do = { handler = "act", data = { kind = "{item.kind}", number = "{item.number}", note = "{item.note}" } }
"#;

/// Three tasks for each entity, that an event cancels.
pub(super) const THREE: &str = r#"
[timeline]
name = "three"
entity = "account"
anchor = "due"

[facts.item]
fields = { kind = "string", number = "int", note = "string" }

[step.first]
do = { handler = "act", data = { kind = "{item.kind}", number = "{item.number}", note = "{item.note}" } }
[step.second]
due = "1 day"
do = { handler = "act", data = { kind = "{item.kind}", number = "{item.number}", note = "{item.note}" } }
[step.third]
due = "2 days"
do = { handler = "act", data = { kind = "{item.kind}", number = "{item.number}", note = "{item.note}" } }

[on."account.closed"]
cancel = "*"
"#;

/// What the handler decodes: about 200 bytes of JSON.
#[derive(serde::Deserialize)]
struct Input {
    data: Data,
}

#[derive(serde::Deserialize)]
struct Data {
    kind: String,
    number: String,
    note: String,
}

/// Whoever wants to know how many were done, and how late each was.
#[derive(Default)]
pub(super) struct Watch {
    pub(super) done: AtomicUsize,
    pub(super) wanted: AtomicUsize,
    pub(super) all_done: Notify,
    pub(super) lateness: std::sync::Mutex<Vec<SignedDuration>>,
}

/// A client of a new store.
pub(super) async fn client(folder: &Path, definition: &str) -> Result<Client> {
    let store = SqliteStore::open(&folder.join("hence.db"), SqliteOptions::new(OpenMode::Create))?;
    let client = Client::open(Arc::new(store), FactReaders::default(), "bench").await?;
    client.put_definition(definition).await?;
    Ok(client)
}

/// An enrolment whose first task is due at that instant.
pub(super) fn enrolment(timeline: &str, number: usize, due: Timestamp) -> Result<Telling> {
    let timeline: Name = timeline.parse()?;
    let entity: EntityKey = entity(number)?;
    let facts = json!({ "item": { "kind": "reminder", "number": number, "note": note(number) } });
    Ok(Telling::enrol(Enrolment::new(timeline, entity).given("due".parse()?, due).facts(facts)))
}

pub(super) fn entity(number: usize) -> Result<EntityKey> {
    Ok(format!("account/{number}").parse()?)
}

/// Text that brings the payload to 200 bytes.
pub(super) fn note(number: usize) -> String {
    format!("{number:010} {}", "n".repeat(120))
}

/// Enrols many in bulk; each is due at `due(number)`.
pub(super) async fn enrol_many(
    client: &Client,
    timeline: &str,
    numbers: std::ops::Range<usize>,
    due: impl Fn(usize) -> Timestamp,
) -> Result<()> {
    let numbers: Vec<usize> = numbers.collect();
    for batch in numbers.chunks(1000) {
        let tellings = batch.iter().map(|number| enrolment(timeline, *number, due(*number))).collect::<Result<Vec<_>>>()?;
        for told in client.tell_many(tellings).await? {
            anyhow::ensure!(told == Told::CarriedOut, "an enrolment was not carried out: {told:?}");
        }
    }
    Ok(())
}

/// An engine whose handler decodes its input and notes when it was reached.
pub(super) fn engine(client: &Client, options: &Options, watch: &Arc<Watch>, keeps_lateness: bool) -> Engine {
    let watch = Arc::clone(watch);
    let act = move |context: HandlerContext, input: Input| {
        let watch = Arc::clone(&watch);
        async move {
            let decoded = input.data.kind.len() + input.data.number.len() + input.data.note.len();
            debug_assert!(decoded > 100, "the payload has its size");
            if keeps_lateness {
                let late = Timestamp::now().duration_since(context.attempt.due_at);
                watch.lateness.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(late);
            }
            if watch.done.fetch_add(1, Ordering::Relaxed) + 1 == watch.wanted.load(Ordering::Relaxed) {
                watch.all_done.notify_one();
            }
            Ok(HandlerReply::done())
        }
    };
    let mut settings = EngineOptions::default();
    settings.attempts_max = options.attempts;
    // The drain is to be as quick as it can be; the limit of the backlog is a setting for receivers.
    settings.catch_up_per_second = 1_000_000;
    Engine::new(client.clone(), Dispatchers::new().with(Arc::new(Handlers::new().on("act", act))), settings)
}
