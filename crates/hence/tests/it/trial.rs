//! Goal: the trial happens once, on time, and payers are left alone. Method: three accounts, forty days, the calls that arrived; on every
//! store.

use std::sync::{Arc, Mutex};

use hence::dispatch::{Dispatchers, HandlerError, HandlerReply, Handlers};
use hence::store::memory::MemoryStore;
use hence::store::postgres::{PostgresOptions, PostgresStore};
use hence::store::sqlite::{OpenMode, SqliteOptions, SqliteStore};
use hence::{CancelAnswer, Client, Engine, EngineOptions, Enrolment, FactReaders, Store, Telling, Told};
use hence_core::history::RecordKind;
use hence_core::name::EntityKey;
use hence_core::task::TaskState;
use hence_servers::postgres::Server;
use hence_store::port::{HistoryFilter, HistoryOrder, PageRequest, UpcomingFilter};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const TRIAL: &str = r#"
[timeline]
name = "trial"
entity = "account"
anchor = "created_at"
zone = { from = "account.timezone", else = "UTC" }

[facts.account]
fields = { email = "string", timezone = "string", paid_at = "time?" }

[step.remind]
due = "25 days"
at = "09:00"
before = "expire"
when = "account.paid_at == null"
do = { handler = "mail", data = { to = "{account.email}" } }

[step.expire]
due = "30 days"
when = "account.paid_at == null"
do = { handler = "switch_off" }
says = ["deactivated"]

[step.tell]
after = "expire:deactivated"
do = { handler = "mail" }

[on."account.paid"]
cancel = "*"
reason = "paid"

[on."trial.extended"]
shift = "{event.days} days"
"#;

type Calls = Arc<Mutex<Vec<String>>>;

struct World {
    client: Client,
    calls: Calls,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn account(id: &str) -> EntityKey {
    format!("account/{id}").parse().unwrap()
}

/// Every store, with the folder it lives in.
async fn stores() -> Vec<(Arc<dyn Store>, Option<tempfile::TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(&folder.path().join("hence.db"), SqliteOptions::new(OpenMode::Create)).unwrap();
    let database = Server::shared().unwrap().new_database().unwrap();
    let postgres = PostgresStore::open(&database.url, PostgresOptions::new(OpenMode::Create)).await.unwrap();
    vec![(Arc::new(MemoryStore::new()), None), (Arc::new(sqlite), Some(folder)), (Arc::new(postgres), None)]
}

impl World {
    async fn new(definition: &str, store: Arc<dyn Store>) -> World {
        let client = Client::open(store, FactReaders::default(), "test").await.unwrap();
        client.clock().make_virtual(at("2026-03-02T09:00:00Z")).await.unwrap();
        client.put_definition(definition).await.unwrap();
        World { client, calls: Calls::default() }
    }

    fn dispatchers(&self) -> Dispatchers {
        let note = |name: &'static str, word: Option<&'static str>| {
            let calls = Arc::clone(&self.calls);
            move |context: hence_dispatch::HandlerContext, _: Value| {
                let attempt = context.attempt;
                calls.lock().unwrap().push(format!("{} {} {}", attempt.started_at, attempt.entity_id, attempt.step));
                let _ = name;
                async move { Ok(word.map_or_else(HandlerReply::done, HandlerReply::outcome)) }
            }
        };
        let handlers = Handlers::new()
            .on("mail", note("mail", None))
            .on("switch_off", note("switch_off", Some("deactivated")))
            .on("broken", |_, _: Value| async { Err(HandlerError::again("the receiver is down")) });
        Dispatchers::new().with(Arc::new(handlers))
    }

    /// Lets an engine run until the virtual clock has arrived.
    async fn advance(&self, to: &str) {
        self.client.clock().advance(at(to)).await.unwrap();
        let stop = CancellationToken::new();
        let engine = Engine::new(self.client.clone(), self.dispatchers(), EngineOptions::default());
        let running = tokio::spawn(engine.run(stop.clone()));
        while self.client.now().await.unwrap() < at(to) && !running.is_finished() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        running.await.unwrap().unwrap();
    }

    async fn enrol(&self, id: &str, zone: &str) {
        let facts = json!({ "account": { "email": format!("{id}@example.com"), "timezone": zone } });
        let enrolment = Enrolment::new("trial".parse().unwrap(), account(id))
            .given("created_at".parse().unwrap(), self.client.now().await.unwrap())
            .facts(facts);
        assert_eq!(self.client.tell(Telling::enrol(enrolment)).await.unwrap(), Told::CarriedOut);
    }

    async fn event(&self, id: &str, name: &str, data: Value) {
        let telling = Telling::event(account(id), name.parse().unwrap(), data, Value::Null);
        assert_eq!(self.client.tell(telling).await.unwrap(), Told::CarriedOut);
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    async fn history(&self, id: &str) -> Vec<String> {
        let filter = HistoryFilter { entity: Some(account(id)), order: HistoryOrder::OldestFirst, ..HistoryFilter::default() };
        let page = self.client.store().history(&filter, PageRequest::first(100)).await.unwrap();
        page.items
            .iter()
            .map(|row| {
                let step = row.record.step.as_ref().map_or(String::new(), ToString::to_string);
                format!("{} {step}", row.record.kind.as_str()).trim().to_owned()
            })
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trial_happens_once_and_on_time() {
    for (store, _folder) in stores().await {
        let world = World::new(TRIAL, store).await;
        world.enrol("silent", "Europe/Oslo").await;
        world.enrol("payer", "UTC").await;
        world.enrol("extender", "UTC").await;
        world.advance("2026-03-12T00:00:00Z").await;
        world.event("payer", "account.paid", Value::Null).await;
        world.event("extender", "trial.extended", json!({ "days": 7 })).await;
        world.advance("2026-04-20T00:00:00Z").await;
        assert_eq!(
            world.calls(),
            [
                "2026-03-27T08:00:00Z silent remind",
                "2026-04-01T08:00:00Z silent expire",
                "2026-04-01T08:00:00Z silent tell",
                "2026-04-03T09:00:00Z extender remind",
                "2026-04-08T09:00:00Z extender expire",
                "2026-04-08T09:00:00Z extender tell",
            ]
        );
        assert_eq!(world.history("payer").await, ["enrolled", "event", "cancelled remind", "cancelled expire", "ended"]);
        let upcoming = world.client.store().upcoming(&UpcomingFilter::default(), PageRequest::first(10)).await.unwrap();
        assert_eq!(upcoming.items, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_engine_loses_nothing_and_repeats_nothing() {
    for (store, _folder) in stores().await {
        let world = World::new(TRIAL, store).await;
        for id in 0..20 {
            world.enrol(&format!("a{id}"), "UTC").await;
        }
        for day in 10..30 {
            world.advance(&format!("2026-03-{day}T00:00:00Z")).await;
        }
        world.advance("2026-04-10T00:00:00Z").await;
        let mut calls = world.calls();
        assert_eq!(calls.len(), 60);
        calls.sort();
        calls.dedup();
        assert_eq!(calls.len(), 60);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_receiver_is_tried_again_until_its_tries_are_used_up() {
    for (store, _folder) in stores().await {
        let definition = r#"
            [timeline]
            name = "trial"
            entity = "account"
            anchor = "created_at"
            [facts.account]
            fields = { email = "string", timezone = "string" }
            [step.expire]
            due = "1 day"
            do = { handler = "broken", data = { to = "{account.email}", zone = "{account.timezone}" } }
            retry = { tries = 3, wait = "1 minute..1 hour" }
            [step.alarm]
            after = "expire:failed"
            do = { handler = "mail" }
        "#;
        let world = World::new(definition, store).await;
        world.enrol("a", "UTC").await;
        world.advance("2026-03-10T00:00:00Z").await;
        assert_eq!(
            world.history("a").await,
            ["enrolled", "retried expire", "retried expire", "failed expire", "done alarm", "ended"]
        );
        assert_eq!(world.calls().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_task_never_starts_and_every_answer_is_as_stored() {
    for (store, _folder) in stores().await {
        let world = World::new(TRIAL, store).await;
        world.enrol("a", "UTC").await;
        let filter = UpcomingFilter { entity: Some(account("a")), ..UpcomingFilter::default() };
        let upcoming = world.client.store().upcoming(&filter, PageRequest::first(10)).await.unwrap();
        let expire = upcoming.items.iter().find(|task| task.step.as_str() == "expire").unwrap().id;
        assert_eq!(world.client.cancel(expire, "not wanted").await.unwrap(), CancelAnswer::Cancelled);
        assert_eq!(world.client.cancel(expire, "again").await.unwrap(), CancelAnswer::Already(TaskState::Cancelled));
        world.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(world.calls(), ["2026-03-27T09:00:00Z a remind"]);
        world.client.run_now(expire, "after all").await.unwrap();
        let twice = world.client.run_now(expire, "I cannot wait").await.unwrap_err();
        assert!(matches!(twice, hence::Error::Refused { code: "HNC-0310", .. }), "{twice}");
        world.advance("2026-04-11T00:00:00Z").await;
        assert_eq!(world.calls()[1..], ["2026-04-10T00:00:00Z a expire", "2026-04-10T00:00:00Z a tell"]);
        // Once more: the same outcome is not followed again.
        world.client.run_now(expire, "to be sure").await.unwrap();
        world.advance("2026-04-12T00:00:00Z").await;
        assert_eq!(world.calls()[3..], ["2026-04-11T00:00:00Z a expire"]);
        let asked = ["run_asked expire", "done expire"];
        let history = world.history("a").await;
        assert_eq!(history[4..], [&asked[..], &["done tell", "ended"], &asked, &["ended"]].concat(), "{history:?}");
        let filter = HistoryFilter { kinds: vec![RecordKind::Cancelled], ..HistoryFilter::default() };
        assert_eq!(world.client.store().history(&filter, PageRequest::first(10)).await.unwrap().items.len(), 1);
    }
}
