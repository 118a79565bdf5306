//! Goal: facts are read where the definition says, when a step fires and when an event asks for it; what cannot be read is tried again and
//! never taken for false; wishes that wait for facts can be seen and heal by themselves. Method: a real SQLite file of an application, the
//! raw HTTP server, and a database that fails as told; on every store.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use hence::dispatch::{HttpFacts, WebhookTarget, Webhooks};
use hence::{FactReader, FactReaders, NotYet, SqliteReader, Told};
use hence_core::history::RecordKind;
use hence_core::reason::Reason;
use hence_store::port::{EntityFilter, PageRequest, Postponed};
use serde_json::{Map, Value, json};

use crate::http_server::{Do, HttpServer};
use crate::world::{World, at, places};

const BY_SQL: &str = r#"
    [timeline]
    name = "sql"
    entity = "account"
    anchor = "account.started_at"
    zone = { from = "account.timezone", else = "UTC" }
    [facts.account]
    source = "app"
    sql = "select email, timezone, started_at, paid_at from account where id = $1"
    fields = { email = "string", timezone = "string", started_at = "time", paid_at = "time?" }
    [step.a]
    due = "1 day"
    at = "12:00"
    when = "account.paid_at == null"
    do = { handler = "note", data = { to = "{account.email}" } }
    retry = { tries = 5, wait = "1s..1s" }
    [on."account.moved"]
    recompute = true
"#;

/// The application's own database.
struct App(rusqlite::Connection);

impl App {
    fn new(path: &Path) -> App {
        let app = App(rusqlite::Connection::open(path).unwrap());
        app.run("create table account (id text primary key, email text, timezone text, started_at text, paid_at text)");
        app.run("insert into account values ('42', 'ann@example.com', 'Europe/Oslo', '2026-03-02T10:00:00Z', null)");
        app
    }

    fn run(&self, sql: &str) {
        self.0.execute_batch(sql).unwrap();
    }
}

fn readers(path: &Path) -> FactReaders {
    FactReaders::default().with_database("app", Arc::new(SqliteReader::new(path)))
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_come_from_the_database_of_the_application_when_a_step_fires() {
    for place in places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let app = App::new(&path);
        let world = World::with_facts(place.store, readers(&path)).await;
        // Anchor and zone are read when it is enrolled: noon in Oslo.
        assert_eq!(world.enrol(BY_SQL, Value::Null).await, Told::CarriedOut);
        assert_eq!(world.upcoming().await[0].due_at, at("2026-03-03T11:00:00Z"));
        // What counts is what stands there when the step fires.
        app.run("update account set email = 'new@example.com'");
        world.advance("2026-03-04T00:00:00Z").await;
        assert_eq!(world.calls.lock().unwrap().as_slice(), [r#"2026-03-03T11:00:00Z a {"to":"new@example.com"} 20s"#]);
        let Reason::Answered { facts, .. } =
            world.rows().await.into_iter().rev().find(|row| row.record.kind == RecordKind::Done).unwrap().record.reason
        else {
            panic!("no answer is kept")
        };
        assert_eq!(json!(facts), json!({ "account.email": "new@example.com", "account.paid_at": null }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_is_checked_against_the_live_row() {
    for place in places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let app = App::new(&path);
        let world = World::with_facts(place.store, readers(&path)).await;
        world.enrol(BY_SQL, Value::Null).await;
        app.run("update account set paid_at = '2026-03-02T20:00:00Z'");
        world.advance("2026-03-04T00:00:00Z").await;
        assert_eq!(world.history().await, ["2026-03-03T11:00:00Z a skipped"]);
        assert_eq!(world.called(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recompute_reads_the_live_facts_and_moves_what_is_ahead() {
    for place in places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let app = App::new(&path);
        let world = World::with_facts(place.store, readers(&path)).await;
        world.enrol(BY_SQL, Value::Null).await;
        app.run("update account set timezone = 'America/New_York', started_at = '2026-03-03T10:00:00Z'");
        // Nobody has told of it yet.
        assert_eq!(world.upcoming().await[0].due_at, at("2026-03-03T11:00:00Z"));
        assert_eq!(world.event("account.moved", Value::Null, Value::Null).await, Told::CarriedOut);
        assert_eq!(world.upcoming().await[0].due_at, at("2026-03-04T17:00:00Z"));
        assert_eq!(world.history().await, ["2026-03-02T09:00:00Z a moved"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_read_is_tried_again_and_never_taken_for_false() {
    for place in places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        drop(App::new(&path));
        let world = World::with_facts(place.store, readers(&path)).await;
        world.enrol(BY_SQL, Value::Null).await;
        std::fs::rename(&path, folder.path().join("away.db")).unwrap();
        world.advance("2026-03-03T11:00:02Z").await;
        std::fs::rename(folder.path().join("away.db"), &path).unwrap();
        world.advance("2026-03-03T12:00:00Z").await;
        let history = world.history().await;
        let (last, before) = history.split_last().unwrap();
        assert!(!before.is_empty() && before.iter().all(|line| line.ends_with("a retried")), "{history:?}");
        assert!(last.ends_with("a done"), "{history:?}");
        let rows = world.rows().await;
        let retried = rows.iter().find(|row| row.record.kind == RecordKind::Retried).unwrap();
        let Reason::Failed { problem, .. } = &retried.record.reason else { panic!("{history:?}") };
        assert!(problem.starts_with("facts `account`: cannot read"), "{problem}");
    }
}

const BY_HTTP: &str = r#"
    [timeline]
    name = "http"
    entity = "account"
    anchor = "start"
    [facts.widget]
    http = "app"
    path = "/usage/{entity}"
    timeout = "100ms"
    fields = { hits = "int" }
    [step.a]
    due = "1 day"
    when = "widget.hits > 3"
    do = { handler = "note" }
    retry = { tries = 2, wait = "1s..1s" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn facts_over_http_decide_and_a_silent_server_is_cut_off() {
    for (answer, expected, problem) in [
        (Some((200, r#"{"hits": 4}"#)), vec!["2026-03-03T09:00:00Z a done"], ""),
        (Some((200, r#"{"hits": 3}"#)), vec!["2026-03-03T09:00:00Z a skipped"], ""),
        (Some((503, "{}")), vec!["2026-03-03T09:00:00Z a retried", "2026-03-03T09:00:01Z a failed"], "the answer is 503"),
        (
            Some((200, r#"{"hits": "many"}"#)),
            vec!["2026-03-03T09:00:00Z a retried", "2026-03-03T09:00:01Z a failed"],
            "widget.hits",
        ),
        // The key `timeout` says when: the default would say so after 5 s.
        (None, vec!["2026-03-03T09:00:00Z a retried", "2026-03-03T09:00:01Z a failed"], "no answer within 100ms"),
    ] {
        for place in places() {
            let server = HttpServer::start().await;
            match answer {
                Some((status, body)) => server.answer(status, "content-type: application/json\r\n", body),
                None => server.next(Do::Silent),
            }
            let target = WebhookTarget {
                allow_private: true,
                allow_http: true,
                ..WebhookTarget::new("app", format!("http://{}", server.address))
            };
            let http = HttpFacts::new(&Webhooks::new(&[target], None).unwrap());
            let world = World::with_facts(place.store, FactReaders::default().with_http(http)).await;
            world.enrol(BY_HTTP, Value::Null).await;
            world.advance("2026-03-03T10:00:00Z").await;
            assert_eq!(world.history().await, expected);
            if answer.is_some() {
                assert_eq!(server.requests()[0].line, "GET /usage/42 HTTP/1.1");
            }
            if !problem.is_empty() {
                let Reason::Failed { problem: found, .. } = &world.rows().await[1].record.reason else { panic!("{answer:?}") };
                assert!(found.contains(problem), "{found}");
            }
        }
    }
}

/// A database that fails until it is told to work.
#[derive(Default)]
struct Flaky {
    works: AtomicBool,
    asked: AtomicU32,
}

#[async_trait::async_trait]
impl FactReader for Flaky {
    async fn read(&self, _sql: &str, _entity_id: &str) -> Result<Option<Map<String, Value>>, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if !self.works.load(Ordering::SeqCst) {
            return Err("the database is down".to_owned());
        }
        let row = json!({ "email": "a@b.c", "timezone": "UTC", "started_at": "2026-03-02T10:00:00Z", "paid_at": null });
        Ok(row.as_object().cloned())
    }
}

async fn postponed(world: &World) -> Option<Postponed> {
    let filter = EntityFilter { is_postponed: true, ..EntityFilter::default() };
    world.client.store().entities(&filter, PageRequest::first(10)).await.unwrap().items.pop().and_then(|row| row.postponed)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_that_waits_for_facts_can_be_seen_and_heals_by_itself() {
    for place in places() {
        let flaky = Arc::new(Flaky::default());
        let reader: Arc<dyn FactReader> = flaky.clone();
        let world = World::with_facts(place.store, FactReaders::default().with_database("app", reader)).await;
        let told = world.enrol(BY_SQL, Value::Null).await;
        let waits = postponed(&world).await.unwrap();
        let (code, problem) = (waits.problem.code.clone(), waits.problem.message.clone());
        let unread = NotYet::FactsUnread { code, problem, try_at: waits.try_at };
        assert_eq!(told, Told::Accepted(unread), "it is durable, and waits");
        assert_eq!((waits.wishes, waits.since, waits.tries), (1, at("2026-03-02T09:00:00Z"), 1));
        assert_eq!(waits.problem.message, "facts `account`: the database is down");
        assert!(waits.try_at > waits.since, "not at once");
        // An event about it waits behind it and is tried with it.
        let behind = world.event("account.moved", Value::Null, Value::Null).await;
        assert!(matches!(behind, Told::Accepted(NotYet::FactsUnread { .. })), "{behind:?}");
        assert_eq!(postponed(&world).await.unwrap().wishes, 2);
        flaky.works.store(true, Ordering::SeqCst);
        let running = world.engine();
        while postponed(&world).await.is_some() {
            tokio::task::yield_now().await;
        }
        running.stop().await;
        assert_eq!(world.upcoming().await[0].due_at, at("2026-03-03T12:00:00Z"));
        assert_eq!(world.client.store().totals().await.unwrap().wishes, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_that_wait_are_tried_again_no_sooner_than_they_say() {
    for place in places() {
        let flaky = Arc::new(Flaky::default());
        let reader: Arc<dyn FactReader> = flaky.clone();
        let world = World::with_facts(place.store, FactReaders::default().with_database("app", reader)).await;
        world.enrol(BY_SQL, Value::Null).await;
        let asked = || flaky.asked.load(Ordering::SeqCst);
        assert_eq!(asked(), 1);
        // Its instant has not come, so nobody asks the database; and a wish of another entity passes it.
        let moving = world.client.clone();
        moving.clock().advance(at("2026-03-02T09:00:00.000001Z")).await.unwrap();
        assert_eq!(world.client.settle(10).await.unwrap(), 0);
        assert_eq!(asked(), 1);
        world.client.schedule("account/7", "call", at("2026-04-01T09:00:00Z"), json!({ "log": "x" })).await.unwrap();
        assert_eq!(asked(), 1);
        // Once it has come, it is tried once, and waits longer.
        let first = postponed(&world).await.unwrap();
        moving.clock().make_virtual(first.try_at).await.unwrap();
        moving.clock().advance(at("2026-03-09T09:00:00Z")).await.unwrap();
        world.client.settle(10).await.unwrap();
        assert_eq!(asked(), 2);
        let second = postponed(&world).await.unwrap();
        assert_eq!((second.since, second.tries), (first.since, 2));
        assert!(second.try_at > first.try_at);
    }
}
