//! The setting of the play: the folder, the application, the mail catcher, the store and what connects them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, bail};
use async_trait::async_trait;
use chat::{AccountId, Action, ChatOptions, HenceCalls};
use hence::clock::Clock;
use hence::core::name::EntityKey;
use hence::dispatch::{Dispatchers, HttpFacts, Log, MailCatcher, MailServer, Mails, Secret, WebhookTarget, Webhooks};
use hence::store::sqlite::{OpenMode, SqliteOptions, SqliteStore};
use hence::{Client, Enrolment, FactReaders, Store, Telling, Told};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::DemoArgs;

/// The play begins here: in winter time, so that it crosses into summer time on both sides of the Atlantic.
const START: &str = "2026-03-02T08:00:00Z";
/// The secret that the webhooks of the play are signed with; the play never leaves this machine.
const SECRET: &str = "whsec_aGVuY2UtZGVtby1vbmx5LW5vdC1hLXNlY3JldA==";
const TRIAL: &str = include_str!("../../../../../examples/chat/timelines/trial.toml");
const TEMPLATES: [(&str, &str); 8] = [
    ("trial_ending.txt", include_str!("../../../../../examples/chat/templates/trial_ending.txt")),
    ("trial_ending.html", include_str!("../../../../../examples/chat/templates/trial_ending.html")),
    ("trial_over.txt", include_str!("../../../../../examples/chat/templates/trial_over.txt")),
    ("trial_over.html", include_str!("../../../../../examples/chat/templates/trial_over.html")),
    ("still_used.txt", include_str!("../../../../../examples/chat/templates/still_used.txt")),
    ("still_used.html", include_str!("../../../../../examples/chat/templates/still_used.html")),
    ("ops_alert.txt", include_str!("../../../../../examples/chat/templates/ops_alert.txt")),
    ("ops_alert.html", include_str!("../../../../../examples/chat/templates/ops_alert.html")),
];

/// Everything that runs during the play.
pub(super) struct Setting {
    pub(super) dir: PathBuf,
    pub(super) client: Client,
    pub(super) dispatchers: Dispatchers,
    pub(super) app_url: String,
    pub(super) catcher: MailCatcher,
    pub(super) actions: Vec<Action>,
    pub(super) ends_at: Timestamp,
    pub(super) accounts: u32,
    app: chat::Running,
}

/// The application's way of telling Hence: the library, as a Rust program would.
struct Calls {
    client: Client,
}

#[async_trait]
impl HenceCalls for Calls {
    async fn enrol(&self, account: AccountId, created_at: Timestamp, facts: Value) -> anyhow::Result<()> {
        let enrolment = Enrolment::new("trial".parse()?, entity(account)?).given("created_at".parse()?, created_at).facts(facts);
        let key = format!("enrol-{account}");
        taken(self.client.tell(Telling::enrol(enrolment).at(created_at).key(&key)).await?)
    }

    async fn event(&self, account: AccountId, name: &str, at: Timestamp, data: Value, facts: Value) -> anyhow::Result<()> {
        let key = format!("{name}-{account}-{at}");
        let telling = Telling::event(entity(account)?, name.parse()?, data, facts).at(at).key(&key);
        taken(self.client.tell(telling).await?)
    }
}

fn entity(account: AccountId) -> anyhow::Result<EntityKey> {
    Ok(format!("account/{account}").parse()?)
}

fn taken(told: Told) -> anyhow::Result<()> {
    match told {
        Told::Refused { code, problem } => bail!("{code}: {problem}"),
        _ => Ok(()),
    }
}

impl Setting {
    pub(super) async fn open(args: &DemoArgs) -> anyhow::Result<Self> {
        let dir = args.dir.clone();
        prepare(&dir, args).with_context(|| format!("cannot set up the play in {}", dir.display()))?;
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&dir.join("hence.db"), SqliteOptions::new(OpenMode::Create))?);
        // The clock is made virtual before anything reads it; a play that goes on keeps its own.
        let start: Timestamp = START.parse()?;
        let first = Client::open(Arc::clone(&store), FactReaders::default(), "demo").await?;
        if first.clock().read().await?.target.is_none() {
            first.clock().make_virtual(start).await?;
        }
        // The application follows the clock that the engine moves, which is there once the application has an address.
        let clock: Arc<OnceLock<Clock>> = Arc::default();
        let shown = Arc::clone(&clock);
        let app = chat::start(ChatOptions {
            database: dir.join("chat.db"),
            listen: ([127, 0, 0, 1], 0).into(),
            webhook_secret: Some(SECRET.to_owned()),
            hence: Arc::new(Calls { client: first.clone() }),
            clock: Arc::new(move || shown.get().map_or(start, Clock::last_shown)),
        })
        .await?;
        let catcher = MailCatcher::start(Some(dir.join("mails"))).await?;
        let target = WebhookTarget {
            secrets: vec![Secret::new(SECRET)],
            allow_private: true,
            allow_http: true,
            ..WebhookTarget::new("app", app.url())
        };
        let webhooks = Webhooks::new(&[target], None)?;
        let mails = mails(&catcher, dir.join("templates")).await?;
        let readers = FactReaders::default().with_http(HttpFacts::new(&webhooks));
        let client = Client::open(store, readers, "demo").await?;
        client.put_definition(&std::fs::read_to_string(dir.join("timelines/trial.toml"))?).await?;
        first.reload().await?;
        client.now().await?;
        clock.get_or_init(|| client.clock().clone());
        let dispatchers = Dispatchers::new().with(Arc::new(webhooks)).with(Arc::new(mails)).with(Arc::new(Log));
        let count = usize::try_from(args.accounts)?;
        Ok(Self {
            app_url: app.url(),
            actions: chat::population(count, args.seed, start),
            ends_at: start + SignedDuration::from_hours(24 * i64::from(args.days)),
            accounts: args.accounts,
            dir,
            client,
            dispatchers,
            catcher,
            app,
        })
    }

    pub(super) async fn close(self) -> anyhow::Result<()> {
        self.catcher.stop().await;
        self.app.stop().await
    }
}

async fn mails(catcher: &MailCatcher, templates: PathBuf) -> anyhow::Result<Mails> {
    let server = MailServer {
        url: catcher.url(),
        login: None,
        from: "Little Chat <hello@chat.example>".to_owned(),
        templates,
        roots_pem: None,
    };
    let made = tokio::task::spawn_blocking(move || Mails::new(&server)).await?;
    made.map_err(|problems| {
        let problems: Vec<&str> = problems.iter().map(hence::dispatch::Problem::message).collect();
        anyhow::anyhow!("the templates have problems: {}", problems.join("; "))
    })
}

/// Makes the folder and what is read from it; a play of another population there is refused.
fn prepare(dir: &Path, args: &DemoArgs) -> anyhow::Result<()> {
    let marker = dir.join("play");
    let play = format!("accounts {} seed {}\n", args.accounts, args.seed);
    if dir.exists() && (args.fresh || is_over(dir)) {
        if !marker.exists() {
            bail!("the folder is not one of a play; name another with --dir");
        }
        std::fs::remove_dir_all(dir)?;
    }
    match std::fs::read_to_string(&marker) {
        Ok(found) if found != play => bail!("the folder holds another play ({}); add --fresh to throw it away", found.trim()),
        Ok(_) => return Ok(()),
        Err(_) if dir.exists() && dir.read_dir()?.next().is_some() => {
            bail!("the folder is not empty and not one of a play; name another with --dir")
        }
        Err(_) => {}
    }
    std::fs::create_dir_all(dir.join("timelines"))?;
    std::fs::create_dir_all(dir.join("templates"))?;
    std::fs::write(dir.join("timelines/trial.toml"), TRIAL)?;
    for (name, text) in TEMPLATES {
        std::fs::write(dir.join("templates").join(name), text)?;
    }
    std::fs::write(dir.join("hence.toml"), "[store]\nurl = \"sqlite:hence.db\"\n\n[timelines]\npaths = [\"timelines\"]\n")?;
    std::fs::write(marker, play)?;
    Ok(())
}

/// Whether the play in the folder came to its end.
fn is_over(dir: &Path) -> bool {
    dir.join("over").exists()
}
