//! Goal: an audit finds what differs from the truth and heals what the definition says. Method: a real application database that rows
//! are written into and deleted from behind Hence's back, the real engine on a virtual clock, and a store file with rows torn out.

use std::path::Path;
use std::sync::Arc;

use hence::dispatch::{Dispatchers, HandlerReply, Handlers};
use hence::store::sqlite::{OpenMode, SqliteOptions, SqliteStore};
use hence::{AuditMode, Client, Engine, EngineOptions, Enrolment, FactReaders, FindingKind, Healing, SqliteReader, Telling};
use hence_core::name::EntityKey;
use hence_store::port::{HistoryFilter, HistoryOrder, PageRequest, UpcomingFilter};
use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

const TRIAL: &str = r#"
[timeline]
name = "trial"
entity = "account"
anchor = "created_at"
zone = { from = "account.timezone", else = "UTC" }
[facts.account]
source = "app"
sql = "select timezone, paid_at from account where id = $1"
fields = { timezone = "string", paid_at = "time?" }
[step.remind]
due = "25 days"
when = "account.paid_at == null"
do = { handler = "mail" }
[step.expire]
due = "30 days"
when = "account.paid_at == null"
do = { handler = "mail" }
[on."account.paid"]
cancel = "*"
"#;

const AUDIT: &str = r#"
[audit]
every = "1 hour"
expect = "select id, created_at from account where paid_at is null"
missing = "enrol"
extra = "cancel"
"#;

struct World {
    client: Client,
    app: Connection,
    folder: tempfile::TempDir,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn account(id: i64) -> EntityKey {
    format!("account/{id}").parse().unwrap()
}

async fn open(folder: &Path) -> Client {
    let store = SqliteStore::open(&folder.join("hence.db"), SqliteOptions::new(OpenMode::Create)).unwrap();
    let readers = FactReaders::default().with_database("app", Arc::new(SqliteReader::new(folder.join("app.db"))));
    Client::open(Arc::new(store), readers, "test").await.unwrap()
}

impl World {
    async fn new(audit: &str) -> World {
        let folder = tempfile::tempdir().unwrap();
        let app = Connection::open(folder.path().join("app.db")).unwrap();
        app.execute_batch("create table account (id integer primary key, timezone text, created_at text, paid_at text)").unwrap();
        let client = open(folder.path()).await;
        client.clock().make_virtual(at("2026-03-02T09:00:00Z")).await.unwrap();
        client.put_definition(&format!("{TRIAL}{audit}")).await.unwrap();
        World { client, app, folder }
    }

    /// An account that Hence is not told of.
    fn insert(&self, id: i64, created_at: &str) {
        self.app.execute("insert into account values (?1, 'Europe/Oslo', ?2, null)", (id, created_at)).unwrap();
    }

    async fn enrol(&self, id: i64) {
        self.insert(id, "2026-03-02T09:00:00Z");
        let enrolment = Enrolment::new("trial".parse().unwrap(), account(id));
        self.client.tell(Telling::enrol(enrolment)).await.unwrap();
    }

    /// Ten minutes on: who was enrolled before is no newcomer any more.
    async fn wait(&self) {
        self.client.clock().make_virtual(at("2026-03-02T09:10:00Z")).await.unwrap();
    }

    async fn findings(&self, mode: AuditMode) -> Vec<(String, FindingKind, Healing)> {
        let report = self.client.audit(&"trial".parse().unwrap(), mode).await.unwrap();
        let shown = |finding: &hence::Finding| (finding.entity.id().to_owned(), finding.kind, finding.result.clone());
        report.findings.iter().map(shown).collect()
    }

    async fn advance(&self, to: &str) {
        self.client.advance(at(to)).await.unwrap();
        let stop = CancellationToken::new();
        let handlers = Handlers::new().on("mail", |_, _: Value| async { Ok(HandlerReply::done()) });
        let dispatchers = Dispatchers::new().with(Arc::new(handlers));
        let engine = tokio::spawn(Engine::new(self.client.clone(), dispatchers, EngineOptions::default()).run(stop.clone()));
        while self.client.now().await.unwrap() < at(to) && !engine.is_finished() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        engine.await.unwrap().unwrap();
    }

    async fn history(&self, id: i64) -> Vec<String> {
        let filter = HistoryFilter { entity: Some(account(id)), order: HistoryOrder::OldestFirst, ..HistoryFilter::default() };
        let page = self.client.store().history(&filter, PageRequest::first(100)).await.unwrap();
        let line = |row: &hence_store::port::HistoryRow| {
            let step = row.record.step.as_ref().map_or(String::new(), |step| format!(" {step}"));
            format!("{} {}{step}", row.record.at, row.record.kind.as_str())
        };
        page.items.iter().map(line).collect()
    }

    async fn ahead(&self, id: i64) -> Vec<String> {
        let filter = UpcomingFilter { entity: Some(account(id)), ..UpcomingFilter::default() };
        let page = self.client.store().upcoming(&filter, PageRequest::first(10)).await.unwrap();
        page.items.iter().map(|task| format!("{} {}", task.step, task.due_at)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn account_inserted_behind_its_back_is_enrolled_by_the_engine_and_lives_its_trial() {
    let world = World::new(AUDIT).await;
    world.insert(1, "2026-03-02T07:00:00Z");
    world.advance("2026-03-02T10:00:00Z").await;
    assert_eq!(world.ahead(1).await, ["remind 2026-03-27T07:00:00Z", "expire 2026-04-01T06:00:00Z"]);
    // Came while the engine ran: found by the audit of the next hour.
    world.insert(2, "2026-03-02T09:30:00Z");
    world.advance("2026-04-02T00:00:00Z").await;
    assert_eq!(
        world.history(2).await,
        [
            "2026-03-02T09:30:00Z enrolled",
            "2026-03-02T10:00:00Z facts",
            "2026-03-27T09:30:00Z done remind",
            "2026-04-01T08:30:00Z done expire",
            "2026-04-01T08:30:00Z ended"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_difference_is_found_healed_and_then_no_difference() {
    let world = World::new(AUDIT).await;
    for id in 1..=4 {
        world.enrol(id).await;
    }
    world.wait().await;
    world.insert(5, "2026-03-01T09:00:00Z");
    world.app.execute("delete from account where id = 1", ()).unwrap();
    // Somebody tears a waiting task out of the store.
    let before = world.ahead(2).await;
    let filter = UpcomingFilter { entity: Some(account(2)), ..UpcomingFilter::default() };
    let first = world.client.store().upcoming(&filter, PageRequest::first(1)).await.unwrap().items[0].id;
    let store = Connection::open(world.folder.path().join("hence.db")).unwrap();
    assert_eq!(store.execute("delete from hence_live where id = ?1", [first.0]), Ok(1));
    assert_eq!(store.execute("delete from hence_body where id = ?1", [first.0]), Ok(1));
    assert_eq!(world.ahead(2).await.len(), 1);
    let expected = |result: &Healing| {
        [
            ("2".to_owned(), FindingKind::TasksMissing, result.clone()),
            ("5".to_owned(), FindingKind::Missing, result.clone()),
            ("1".to_owned(), FindingKind::Extra, result.clone()),
        ]
    };
    assert_eq!(world.findings(AuditMode::Look).await, expected(&Healing::Reported));
    assert_eq!(world.findings(AuditMode::Heal).await, expected(&Healing::Healed));
    assert_eq!(world.findings(AuditMode::Heal).await, []);
    assert_eq!(world.ahead(1).await, [""; 0]);
    assert_eq!(world.ahead(2).await, before);
    assert_eq!(world.ahead(5).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_that_only_reports_changes_nothing() {
    let world = World::new(&AUDIT.replace("enrol", "report").replace("cancel", "report")).await;
    world.enrol(1).await;
    world.wait().await;
    world.insert(2, "2026-03-02T07:00:00Z");
    world.app.execute("delete from account where id = 1", ()).unwrap();
    let found = world.findings(AuditMode::Heal).await;
    assert_eq!(found.iter().map(|(_, _, result)| result).collect::<Vec<_>>(), [&Healing::Reported, &Healing::Reported]);
    assert_eq!(world.ahead(1).await.len(), 2);
    assert_eq!(world.ahead(2).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistaken_statement_does_not_cancel_everybody() {
    let world = World::new(AUDIT).await;
    for id in 1..=30 {
        world.enrol(id).await;
    }
    world.wait().await;
    world.app.execute("update account set paid_at = '2026-03-02T09:00:00Z'", ()).unwrap();
    let found = world.findings(AuditMode::Heal).await;
    assert_eq!(found.len(), 30);
    assert!(found.iter().all(|(_, _, result)| matches!(result, Healing::NotHealed(_))), "{found:?}");
    assert_eq!(world.ahead(7).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_enrolled_a_moment_ago_is_no_surplus() {
    let world = World::new(AUDIT).await;
    world.enrol(1).await;
    world.wait().await;
    // Enrolled by a program that has not committed its own row yet.
    let facts = serde_json::json!({ "account": { "timezone": "UTC" } });
    let enrolment = Enrolment::new("trial".parse().unwrap(), account(2)).facts(facts);
    world.client.tell(Telling::enrol(enrolment)).await.unwrap();
    assert_eq!(world.findings(AuditMode::Heal).await, []);
    assert_eq!(world.ahead(2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_that_cannot_be_made_says_why_and_changes_nothing() {
    let problem = async |audit: &str| {
        let world = World::new(audit).await;
        world.enrol(1).await;
        let error = world.client.audit(&"trial".parse().unwrap(), AuditMode::Heal).await.unwrap_err();
        assert_eq!(world.ahead(1).await.len(), 2);
        error.to_string()
    };
    assert_eq!(problem("").await, "timeline `trial` has no `[audit]`");
    let no_instant = problem(&AUDIT.replace("id, created_at", "id")).await;
    assert_eq!(no_instant, "the audit of `trial` cannot use a row: account/1 has no column `created_at` with an instant");
    let no_column = problem(&AUDIT.replace("paid_at is null", "payed_at is null")).await;
    assert!(no_column.contains("no such column: payed_at"), "{no_column}");
}
