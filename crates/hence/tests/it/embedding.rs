//! Goal: a program that embeds Hence tells within its own transactions, and its tests fail readably. Method: real SQLite files that the
//! program's tables share, the builder and `hence::testing` as a program uses them; panics are caught and read.

use std::path::Path;

use hence::store::port::{HistoryFilter, PageRequest};
use hence::testing::TestHence;
use hence::{Client, Hence, Statement, Telling, Told};
use rusqlite::Connection;
use serde_json::{Value, json};

const TRIAL: &str = r#"
    [timeline]
    name = "trial"
    entity = "account"
    anchor = "created_at"
    [step.remind]
    due = "1 day"
    do = { email = "trial_ending", to = "ann@example.com" }
    [step.expire]
    due = "2 days"
    do = { webhook = "app", path = "/deactivate" }
    [on."account.paid"]
    cancel = "*"
"#;
const BEGIN: &str = "2026-03-02T09:00Z";

/// A file with a table and a schema number of the program's own, and Hence in it.
async fn shared(folder: &Path) -> (Connection, TestHence) {
    let path = folder.join("app.db");
    let app = Connection::open(&path).unwrap();
    app.execute_batch("create table entity (id integer primary key); create table history (id); pragma user_version = 7")
        .unwrap();
    let hence = Hence::builder().sqlite(&path).definition(TRIAL).test(BEGIN).await;
    (app, hence)
}

async fn statement(hence: &Client, telling: Telling) -> Statement {
    hence.statement(telling).await.unwrap()
}

fn enrol(id: i64) -> Telling {
    let entity = format!("account/{id}").parse().unwrap();
    Telling::enrol(hence::Enrolment::new("trial".parse().unwrap(), entity))
}

fn paid(id: i64) -> Telling {
    let entity = format!("account/{id}").parse().unwrap();
    Telling::event(entity, "account.paid".parse().unwrap(), Value::Null, Value::Null)
}

#[tokio::test]
async fn what_is_told_in_a_transaction_is_committed_and_rolled_back_with_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (mut app, hence) = shared(folder.path()).await;
    for (id, commits) in [(1, true), (2, false), (3, true)] {
        let statement = statement(&hence, enrol(id)).await;
        let transaction = app.transaction().unwrap();
        transaction.execute("insert into entity (id) values (?1)", [id]).unwrap();
        transaction.execute(statement.sql, [&statement.value]).unwrap();
        if commits { transaction.commit() } else { transaction.rollback() }.unwrap();
    }
    hence.run_due().await;
    for (id, lines) in [
        (1, vec!["2026-03-03T09:00Z remind", "2026-03-04T09:00Z expire"]),
        (2, vec![]),
        (3, vec!["2026-03-03T09:00Z remind", "2026-03-04T09:00Z expire"]),
    ] {
        hence.assert_upcoming(&format!("account/{id}"), &lines).await;
    }
    assert_eq!(hence.store().totals().await.unwrap().entities, 2);
    // The program's own things are as they were.
    let (rows, version): (i64, i64) = app
        .query_row("select (select count(*) from entity), user_version from pragma_user_version", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!((rows, version), (2, 7));
}

#[tokio::test]
async fn an_event_of_a_committed_transaction_prevents_the_start_that_follows() {
    let folder = tempfile::tempdir().unwrap();
    let (mut app, hence) = shared(folder.path()).await;
    hence.tell_many(vec![enrol(1), enrol(2)]).await.unwrap();
    hence.advance("1 day").await;
    let transaction = app.transaction().unwrap();
    let statement = statement(&hence, paid(1)).await;
    transaction.execute(statement.sql, [&statement.value]).unwrap();
    transaction.commit().unwrap();
    hence.advance("1 day").await;
    hence.assert_ended("account/1", &["2026-03-03T09:00Z remind done", "2026-03-03T09:00Z expire cancelled"]).await;
    hence.assert_delivered(&[
        "2026-03-03T09:00Z account/1 remind done",
        "2026-03-03T09:00Z account/2 remind done",
        "2026-03-04T09:00Z account/2 expire done",
    ]);
}

#[tokio::test]
async fn a_key_counts_for_both_ways_of_telling() {
    let folder = tempfile::tempdir().unwrap();
    let (app, hence) = shared(folder.path()).await;
    let first = statement(&hence, enrol(1).key("signup-1")).await;
    app.execute(first.sql, [&first.value]).unwrap();
    app.execute(first.sql, [&first.value]).unwrap();
    let totals = hence.store().totals().await.unwrap();
    assert_eq!((totals.wishes, totals.entities), (1, 1));
    assert_eq!(hence.tell(enrol(1).key("signup-1")).await.unwrap(), Told::Duplicate);
    assert!(matches!(hence.tell(enrol(2).key("signup-1")).await.unwrap(), Told::Refused { code: "HNC-0307", .. }));
    assert_eq!(hence.tell(enrol(3).key("signup-3")).await.unwrap(), Told::CarriedOut);
    let again = statement(&hence, enrol(3).key("signup-3")).await;
    app.execute(again.sql, [&again.value]).unwrap();
    let other = statement(&hence, enrol(4).key("signup-3")).await;
    let refused = app.execute(other.sql, [&other.value]).unwrap_err().to_string();
    assert_eq!(refused, "HNC-0307: the key was used for something else");
    hence.run_due().await;
    let filter = HistoryFilter { kinds: vec![hence_core::history::RecordKind::Enrolled], ..HistoryFilter::default() };
    assert_eq!(hence.store().history(&filter, PageRequest::first(10)).await.unwrap().items.len(), 2);
    assert_eq!(hence.store().totals().await.unwrap().wishes, 0);
}

#[tokio::test]
async fn what_no_program_should_write_is_refused_by_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (app, hence) = shared(folder.path()).await;
    let statement = statement(&hence, enrol(1)).await;
    for wrong in ["no document", "{}", r#"{"entity":"account/1"}"#] {
        assert!(app.execute(statement.sql, [wrong]).is_err(), "{wrong}");
    }
    assert_eq!(hence.store().totals().await.unwrap(), Default::default());
}

#[tokio::test]
async fn a_store_without_a_file_has_no_statement() {
    let hence = Hence::builder().definition(TRIAL).test(BEGIN).await;
    assert_eq!(
        hence.statement(enrol(1)).await.unwrap_err().to_string(),
        "this store has no statement for transactions of other programs"
    );
}

#[tokio::test]
async fn a_failed_assertion_says_what_is_ahead_and_why() {
    let told = |assertion: &'static str| async move {
        let hence = Hence::builder().definition(TRIAL).test(BEGIN).await;
        hence.enrol("trial", "account/1", Value::Null).await.unwrap();
        hence.fail("remind", 1);
        hence.advance("1 day").await;
        match assertion {
            "upcoming" => hence.assert_upcoming("account/1", &["2026-03-03T09:00Z remind", "2026-03-05T09:00Z expire"]).await,
            "ended" => hence.assert_ended("account/1", &["2026-03-03T09:00Z remind done"]).await,
            _ => hence.assert_delivered(&["2026-03-03T09:00Z account/1 remind done"]),
        }
    };
    let mut messages = Vec::new();
    for assertion in ["upcoming", "ended", "delivered"] {
        let broken = tokio::spawn(told(assertion)).await.unwrap_err().into_panic();
        messages.push(broken.downcast_ref::<String>().unwrap().clone());
    }
    insta::with_settings!({ filters => [(r"embedding\.rs:\d+:\d+", "embedding.rs:[line]"), (r"\d+\.\d+Z", "[instant]"), (r"definition trial [0-9a-f]+", "definition trial [hash]")] }, {
        insta::assert_snapshot!("failed_assertions", messages.join("\n\n"));
    });
}

#[tokio::test]
async fn a_program_starts_tells_and_stops() {
    let (called, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let hence = Hence::builder()
        .handler("call", move |context: hence::dispatch::HandlerContext, _: Value| {
            let called = called.clone();
            async move {
                called.send(context.attempt.entity_id).unwrap();
                Ok(hence::dispatch::HandlerReply::done())
            }
        })
        .actor("billing")
        .start()
        .await
        .unwrap();
    hence.schedule("order/7", "call", hence.now().await.unwrap(), json!({ "handler": "call" })).await.unwrap();
    assert_eq!(calls.recv().await.as_deref(), Some("7"));
    let client = hence.client().clone();
    assert_eq!(hence.stop().await.unwrap().written, 1);
    assert_eq!(client.upcoming("order/7").await.unwrap(), []);
    let why = client.why("order/7").await.unwrap().remove(0).to_string();
    assert!(why.starts_with("call of order/7 ended done at ") && why.contains("billing"), "{why}");
}
