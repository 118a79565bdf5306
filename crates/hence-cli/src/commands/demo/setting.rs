//! The setting of the play: the folder, the application, the mail catcher, the store and what connects them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, bail};
use async_trait::async_trait;
use chat::{AccountId, Action, ChatOptions, HenceCalls};
use hence::clock::Clock;
use hence::core::name::EntityKey;
use hence::dispatch::{Dispatchers, HttpFacts, Log, MailCatcher, MailServer, Mails, Secret, WebhookTarget, Webhooks};
use hence::store::OpenMode;
use hence::{Client, Enrolment, FactReaders, Store, Telling, Told};
use hence_servers::postgres::{Options, Server};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::DemoArgs;
use crate::session::Session;
use crate::store::Place;

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
    /// Where the store is.
    pub(super) place: Place,
    app: chat::Running,
    /// Dropped last: the store may be in it.
    server: Option<Server>,
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
    pub(super) async fn open(session: &Session, args: &DemoArgs) -> anyhow::Result<Self> {
        let dir = args.dir.clone();
        let (place, server) = place(session, args)?;
        let set_up = prepare(&dir, args, &place);
        let is_new = set_up.with_context(|| format!("cannot set up the play in {}", dir.display()))?;
        let store: Arc<dyn Store> = place.open(OpenMode::Create).await.map_err(|problem| anyhow::anyhow!("{problem}"))?;
        // The play turns the store's clock: nothing of somebody else's may be in it.
        if is_new && store.totals().await?.entities > 0 {
            bail!("the store {place} is in use: name an empty database, or the folder of the play that is in it with --dir");
        }
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
            place,
            server,
            dir,
            client,
            dispatchers,
            catcher,
            app,
        })
    }

    /// Whether the store goes with the play.
    pub(super) fn has_own_server(&self) -> bool {
        self.server.is_some()
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

/// Where the store is: the folder, unless a database is named or wanted.
fn place(session: &Session, args: &DemoArgs) -> anyhow::Result<(Place, Option<Server>)> {
    if args.private_postgres {
        let server = Server::start(&Options::default())?;
        let database = server.new_database()?;
        return Ok((Place::Database(database.url), Some(server)));
    }
    Ok(match &session.global.store {
        Some(url) => (Place::read(url, "--store").map_err(|problem| anyhow::anyhow!("{problem}"))?, None),
        None => (Place::File(args.dir.join("hence.db")), None),
    })
}

/// Makes the folder and what is read from it; a play of another population there is refused. Whether the play is a new one.
fn prepare(dir: &Path, args: &DemoArgs, place: &Place) -> anyhow::Result<bool> {
    let marker = dir.join("play");
    let play = format!("accounts {} seed {}\n", args.accounts, args.seed);
    // What was in a server of the play's own is gone with it.
    if dir.exists() && (args.fresh || args.private_postgres || is_over(dir)) {
        if !marker.exists() {
            bail!("the folder is not one of a play; name another with --dir");
        }
        std::fs::remove_dir_all(dir)?;
    }
    match std::fs::read_to_string(&marker) {
        Ok(found) if found != play => bail!("the folder holds another play ({}); add --fresh to throw it away", found.trim()),
        Ok(_) => return Ok(false),
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
    // The address of a database can hold a password, which is not written down.
    let store = match place {
        Place::File(_) => "url = \"sqlite:hence.db\"".to_owned(),
        Place::Database(_) => format!("# {place}: name it with --database"),
    };
    std::fs::write(dir.join("hence.toml"), format!("[store]\n{store}\n\n[timelines]\npaths = [\"timelines\"]\n"))?;
    std::fs::write(marker, play)?;
    Ok(true)
}

/// Whether the play in the folder came to its end.
fn is_over(dir: &Path) -> bool {
    dir.join("over").exists()
}
