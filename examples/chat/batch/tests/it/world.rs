//! Two worlds of the same customers: the application with Hence, and the application with nightly jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use chat::{AccountId, ChatOptions, HenceCalls, What};
use chat_batch::{InDoubt, Jobs, Post, Report};
use hence::clock::Clock;
use hence::core::history::RecordKind;
use hence::core::name::EntityKey;
use hence::dispatch::{Dispatchers, HttpFacts, MailCatcher, MailServer, Mails, Secret, WebhookTarget, Webhooks};
use hence::store::port::{HistoryFilter, HistoryOrder, HistoryRow, PageRequest};
use hence::store::sqlite::{OpenMode, SqliteOptions, SqliteStore};
use hence::{Client, Engine, EngineOptions, Enrolment, FactReaders, SqliteReader, Store, Summary, Telling, Told};
use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::gate::{Gate, Keeper};

pub(crate) const START: &str = "2026-03-02T08:00:00Z";
const SECRET: &str = "whsec_aGVuY2UtZGVtby1vbmx5LW5vdC1hLXNlY3JldA==";
const FROM: &str = "Little Chat <hello@chat.example>";

/// Something that reached a customer or an account, on a day where the customer lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Effect {
    pub(crate) account: i64,
    pub(crate) what: String,
    pub(crate) on: Date,
    pub(crate) at: Timestamp,
}

/// The trial of the example, with more behind it.
pub(crate) fn trial(more: &str) -> String {
    format!("{}\n{more}", include_str!("../../../timelines/trial.toml"))
}

/// The day it is at that instant in that zone.
pub(crate) fn day_in(zone: &str, at: Timestamp) -> Date {
    at.in_tz(zone).unwrap().date()
}

/// What a customer does, done over the application's HTTP interface; the status of the answer.
pub(crate) async fn does(http: &reqwest::Client, url: &str, account: i64, what: &What) -> u16 {
    let of = |verb: &str| format!("{url}/accounts/{account}/{verb}");
    let (url, body) = match what {
        What::Signup { email, timezone } => (format!("{url}/signup"), json!({ "email": email, "timezone": timezone })),
        What::Pay => (of("pay"), json!({})),
        What::Close => (of("close"), json!({})),
        What::Extend { days } => (of("extend"), json!({ "days": days })),
        What::Timezone { timezone } => (of("timezone"), json!({ "timezone": timezone })),
        What::Usage { hits } => (of("usage"), json!({ "hits": hits })),
    };
    http.post(url).json(&body).send().await.unwrap().status().as_u16()
}

/// Zone and status of every account.
pub(crate) fn accounts(database: &Connection) -> BTreeMap<i64, (String, String)> {
    let mut statement = database.prepare("select id, timezone, status from account order by id").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The application with Hence.
pub(crate) struct HenceWorld {
    pub(crate) client: Client,
    /// Looks at the clock for the test: the application follows what the engine's client saw last, and nobody else may look through that.
    watcher: Client,
    pub(crate) gate: Keeper,
    pub(crate) url: String,
    pub(crate) folder: TempDir,
    app: chat::Running,
    catcher: MailCatcher,
    engine: JoinHandle<Result<Summary, hence::Error>>,
    stop: CancellationToken,
}

struct Calls {
    client: Client,
}

#[async_trait]
impl HenceCalls for Calls {
    async fn enrol(&self, account: AccountId, created_at: Timestamp, facts: Value) -> anyhow::Result<()> {
        let enrolment = Enrolment::new("trial".parse()?, entity(account.0)).given("created_at".parse()?, created_at).facts(facts);
        assert!(!matches!(self.client.tell(Telling::enrol(enrolment).at(created_at)).await?, Told::Refused { .. }));
        Ok(())
    }

    async fn event(&self, account: AccountId, name: &str, at: Timestamp, data: Value, facts: Value) -> anyhow::Result<()> {
        let telling = Telling::event(entity(account.0), name.parse()?, data, facts).at(at);
        assert!(!matches!(self.client.tell(telling).await?, Told::Refused { .. }));
        Ok(())
    }
}

pub(crate) fn entity(account: i64) -> EntityKey {
    format!("account/{account}").parse().unwrap()
}

impl HenceWorld {
    pub(crate) async fn new(definition: &str) -> HenceWorld {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hence.db");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, SqliteOptions::new(OpenMode::Create)).unwrap());
        let start: Timestamp = START.parse().unwrap();
        let first = Client::open(Arc::clone(&store), FactReaders::default(), "app").await.unwrap();
        first.clock().make_virtual(start).await.unwrap();
        let clock: Arc<OnceLock<Clock>> = Arc::default();
        let shown = Arc::clone(&clock);
        let database = folder.path().join("chat.db");
        let app = chat::start(ChatOptions {
            database: database.clone(),
            listen: "127.0.0.1:0".parse().unwrap(),
            webhook_secret: Some(SECRET.to_owned()),
            hence: Arc::new(Calls { client: first.clone() }),
            clock: Arc::new(move || shown.get().map_or(start, Clock::last_shown)),
        })
        .await
        .unwrap();
        let catcher = MailCatcher::start(None).await.unwrap();
        let gate = Keeper::before(&catcher).await;
        let secrets = vec![Secret::new(SECRET)];
        let target = WebhookTarget { secrets, allow_private: true, allow_http: true, ..WebhookTarget::new("app", app.url()) };
        let webhooks = Webhooks::new(&[target], None).unwrap();
        let readers = FactReaders::default()
            .with_http(HttpFacts::new(&webhooks))
            .with_database("app", Arc::new(SqliteReader::new(&database)));
        let client = Client::open(store, readers, "hence").await.unwrap();
        client.put_definition(definition).await.unwrap();
        first.reload().await.unwrap();
        client.now().await.unwrap();
        clock.get_or_init(|| client.clock().clone());
        let dispatchers = Dispatchers::new().with(Arc::new(webhooks)).with(Arc::new(mails(&gate).await));
        let stop = CancellationToken::new();
        let engine = Engine::new(client.clone(), dispatchers, EngineOptions::default());
        let engine = tokio::spawn(engine.run(stop.clone()));
        HenceWorld { client, watcher: first, gate, url: app.url(), folder, app, catcher, engine, stop }
    }

    /// Lets the clock arrive; everything that was due before is done then.
    pub(crate) async fn arrive(&self, at: Timestamp) {
        if self.watcher.now().await.unwrap() < at {
            self.client.advance(at).await.unwrap();
        }
        while self.watcher.now().await.unwrap() < at {
            assert!(!self.engine.is_finished(), "the engine stopped by itself");
            tokio::task::yield_now().await;
        }
    }

    /// The application's own database.
    pub(crate) fn database(&self) -> Connection {
        Connection::open(self.folder.path().join("chat.db")).unwrap()
    }

    /// Lets the application be out of order until then.
    pub(crate) async fn fail(&self, http: &reqwest::Client, until: Timestamp) {
        let body = json!({ "until": until.to_string() });
        assert_eq!(http.post(format!("{}/admin/fail", self.url)).json(&body).send().await.unwrap().status(), 200);
    }

    pub(crate) async fn history(&self, of: Option<i64>) -> Vec<HistoryRow> {
        let filter = HistoryFilter { entity: of.map(entity), order: HistoryOrder::OldestFirst, ..HistoryFilter::default() };
        let mut rows = Vec::new();
        let mut page = PageRequest::first(1000);
        loop {
            let found = self.client.store().history(&filter, page.clone()).await.unwrap();
            rows.extend(found.items);
            page.after = found.next;
            if page.after.is_none() {
                return rows;
            }
        }
    }

    /// Stops all of it; what reached customers, each mail and switch-off checked against what history says.
    pub(crate) async fn end(self, http: &reqwest::Client) -> BTreeSet<Effect> {
        let log: Value = read(http, &format!("{}/admin/log", self.url)).await;
        let zones = accounts(&self.database());
        let history = self.history(None).await;
        self.stop.cancel();
        self.engine.await.unwrap().unwrap();
        self.app.stop().await.unwrap();
        let mails = self.catcher.stop().await;
        let mut effects = BTreeSet::new();
        let mut add = |account: i64, what: &str, at: Timestamp| {
            let zone = zones.get(&account).map_or("UTC", |(zone, _)| zone);
            let is_new = effects.insert(Effect { account, what: what.to_owned(), on: day_in(zone, at), at });
            assert!(is_new, "{what} of account {account} happened twice at {at}");
        };
        let mut done: BTreeMap<i64, &HistoryRow> = BTreeMap::new();
        for row in history.iter().filter(|row| row.record.kind == RecordKind::Done) {
            done.insert(row.record.task.unwrap().0, row);
        }
        for mail in &mails {
            let id = mail.message_id.trim_start_matches('<').split('@').next().unwrap();
            let task: i64 = id.rsplit('_').next().unwrap().parse().unwrap();
            let row = done.remove(&task).unwrap_or_else(|| panic!("{} is in no history, or came twice", mail.message_id));
            let what = match row.record.step.as_ref().unwrap().as_str() {
                "remind" => "trial_ending",
                "tell_expired" => "trial_over",
                "still_used" => "still_used",
                other => other,
            };
            add(row.record.entity.id().parse().unwrap(), what, row.record.at);
        }
        for entry in log.as_array().unwrap().iter().filter(|entry| entry["answered"]["outcome"] == "deactivated") {
            add(
                entry["account"].as_str().unwrap().parse().unwrap(),
                "switched_off",
                entry["at"].as_str().unwrap().parse().unwrap(),
            );
        }
        done.retain(|_, row| row.record.step.as_ref().unwrap().as_str() != "expire");
        assert!(done.is_empty(), "history has mails that never came: {done:?}");
        effects
    }
}

async fn mails(gate: &Keeper) -> Mails {
    let templates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates");
    let server = MailServer { url: gate.url(), login: None, from: FROM.to_owned(), templates, roots_pem: None };
    tokio::task::spawn_blocking(move || Mails::new(&server)).await.unwrap().unwrap_or_else(|problems| panic!("{problems:?}"))
}

async fn read(http: &reqwest::Client, url: &str) -> Value {
    serde_json::from_str(&http.get(url).send().await.unwrap().text().await.unwrap()).unwrap()
}

/// The application with nightly jobs.
pub(crate) struct BatchWorld {
    pub(crate) url: String,
    pub(crate) gate: Keeper,
    pub(crate) database: Connection,
    app: chat::Running,
    catcher: MailCatcher,
    jobs: Jobs,
    now: Arc<Mutex<Timestamp>>,
    effects: BTreeSet<Effect>,
    seen: usize,
    _folder: TempDir,
}

/// A product without Hence tells it nothing.
struct Nobody;

#[async_trait]
impl HenceCalls for Nobody {
    async fn enrol(&self, _: AccountId, _: Timestamp, _: Value) -> anyhow::Result<()> {
        Ok(())
    }

    async fn event(&self, _: AccountId, _: &str, _: Timestamp, _: Value, _: Value) -> anyhow::Result<()> {
        Ok(())
    }
}

impl BatchWorld {
    pub(crate) async fn new() -> BatchWorld {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db");
        let now: Arc<Mutex<Timestamp>> = Arc::new(Mutex::new(START.parse().unwrap()));
        let shown = Arc::clone(&now);
        let app = chat::start(ChatOptions {
            database: path.clone(),
            listen: "127.0.0.1:0".parse().unwrap(),
            webhook_secret: None,
            hence: Arc::new(Nobody),
            clock: Arc::new(move || *shown.lock().unwrap()),
        })
        .await
        .unwrap();
        let catcher = MailCatcher::start(None).await.unwrap();
        let gate = Keeper::before(&catcher).await;
        let jobs = Jobs::open(&path, Post::new(&gate.url(), FROM).unwrap(), InDoubt::Send).unwrap();
        let database = Connection::open(&path).unwrap();
        BatchWorld { url: app.url(), gate, database, app, catcher, jobs, now, effects: BTreeSet::new(), seen: 0, _folder: folder }
    }

    pub(crate) fn set_clock(&self, at: Timestamp) {
        *self.now.lock().unwrap() = at;
    }

    /// Runs the jobs, as cron would.
    pub(crate) fn night(&mut self, now: Timestamp) -> Report {
        self.set_clock(now);
        let report = tokio::task::block_in_place(|| self.jobs.night(now)).unwrap();
        let zones = accounts(&self.database);
        let mut found: Vec<(i64, String)> = Vec::new();
        let mails = self.catcher.mails();
        for mail in &mails[self.seen..] {
            let (kind, account) = mail.message_id.trim_start_matches('<').split('@').next().unwrap().split_once('.').unwrap();
            found.push((account.parse().unwrap(), kind.to_owned()));
        }
        self.seen = mails.len();
        let mut statement = self.database.prepare("select account_id from trial_end where ended_at = ?1").unwrap();
        let ended = statement.query_map([format!("{now:.3}")], |row| row.get(0)).unwrap();
        found.extend(ended.map(|account| (account.unwrap(), "switched_off".to_owned())));
        for (account, what) in found {
            let is_new =
                self.effects.insert(Effect { account, what: what.clone(), on: day_in(&zones[&account].0, now), at: now });
            assert!(is_new, "{what} of account {account} happened twice at {now}");
        }
        report
    }

    pub(crate) async fn end(self) -> BTreeSet<Effect> {
        self.app.stop().await.unwrap();
        assert_eq!(self.catcher.stop().await.len(), self.seen);
        self.effects
    }
}

/// Shuts or opens the way to both mail servers.
pub(crate) fn set_both(hence: &HenceWorld, batch: &BatchWorld, gate: Gate) {
    hence.gate.set(gate);
    batch.gate.set(gate);
}
