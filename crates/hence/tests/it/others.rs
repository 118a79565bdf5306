//! Goal: what other processes do meanwhile is seen by an engine and its client that run already. Method: a second client on the same store;
//! on every store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hence::{Client, Enrolment, FactReader, FactReaders, Telling, Told};
use hence_core::name::EntityKey;
use hence_store::port::{EntityFilter, PageRequest};
use serde_json::{Map, Value};

use crate::world::{World, entity, places};

const FIRST: &str = r#"
    [timeline]
    name = "t"
    entity = "account"
    anchor = "start"
    [step.a]
    due = "1 day"
    do = { handler = "note", data = { version = "first" } }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_another_process_stored_is_carried_out() {
    for place in places() {
        let world = World::new(place.store).await;
        world.enrol(FIRST, Value::Null).await;
        let other = Client::open(place.other, FactReaders::default(), "other").await.unwrap();
        other.put_definition(&FIRST.replace("first", "second")).await.unwrap();
        let newcomer: EntityKey = "account/43".parse().unwrap();
        let told = other.tell(Telling::enrol(Enrolment::new("t".parse().unwrap(), newcomer))).await.unwrap();
        assert_eq!(told, Told::CarriedOut);
        world.advance("2026-03-04T09:00:00Z").await;
        let mut calls = world.calls.lock().unwrap().clone();
        calls.sort();
        let line = |version| format!(r#"2026-03-03T09:00:00Z a {{"version":"{version}"}} 20s"#);
        assert_eq!(calls, [line("first"), line("second")]);
        assert_eq!(world.history().await, ["2026-03-03T09:00:00Z a done"]);
    }
}

/// A database that takes long to say that it is down.
struct Slow(AtomicU32);

#[async_trait::async_trait]
impl FactReader for Slow {
    async fn read(&self, _sql: &str, _entity_id: &str) -> Result<Option<Map<String, Value>>, String> {
        self.0.fetch_add(1, Ordering::Relaxed);
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_hangs_is_asked_a_few_times_and_everybody_who_waits_for_it_is_postponed() {
    let definition = r#"
        [timeline]
        name = "t"
        entity = "account"
        anchor = "account.started_at"
        [facts.account]
        source = "app"
        sql = "select started_at from account where id = $1"
        fields = { started_at = "time" }
        timeout = "2s"
        [step.a]
        do = { log = "a" }
    "#;
    for place in places() {
        let slow = Arc::new(Slow(AtomicU32::new(0)));
        let database: Arc<dyn FactReader> = slow.clone();
        let world = World::with_facts(place.store, FactReaders::default().with_database("app", database)).await;
        world.client.put_definition(definition).await.unwrap();
        let enrol = |number| {
            let entity = EntityKey::new(entity().kind().clone(), &format!("{number}")).unwrap();
            Telling::enrol(Enrolment::new("t".parse().unwrap(), entity))
        };
        let told = world.client.tell_many((0..100).map(enrol).collect()).await.unwrap();
        assert!(told.iter().all(|told| matches!(told, Told::Accepted(_))), "{told:?}");
        assert_eq!(slow.0.load(Ordering::Relaxed), 16, "no further reading begins after a second");
        let filter = EntityFilter { is_postponed: true, ..EntityFilter::default() };
        let postponed = world.client.store().entities(&filter, PageRequest::first(200)).await.unwrap().items;
        assert_eq!(postponed.len(), 100);
    }
}
