//! Goal: it is counted what each way loses or doubles when it is killed in the middle. Method: real processes, `chat-batch` and
//! `hence serve`, over the same accounts; both are killed with SIGKILL again and again at the two moments that nobody can tell apart
//! afterwards: the mail server took a mail and the process was not told, or the mail was on its way and the server never got it. Then
//! they are started again until all is done, and what the customers got is counted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chat::{AccountId, ChatOptions, HenceCalls};
use hence::core::task::TaskState;
use hence::dispatch::{CaughtMail, MailCatcher};
use hence::store::port::{PageRequest, UpcomingFilter};
use hence::store::sqlite::{OpenMode, SqliteOptions, SqliteStore};
use hence::{Client, Enrolment, FactReaders, Store, Telling, Told};
use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::gate::{Gate, Keeper};
use crate::world::{entity, trial};

const CUSTOMERS: i64 = 80;
/// The process is killed when so many mails of its own were taken; the one behind them is the one in doubt.
const KILLS: [u64; 4] = [3, 15, 0, 9];
const BEGAN: &str = "2026-03-02T10:00:00.000Z";
const REMINDED: &str = "2026-03-27T12:00:00Z";
const ENDED: &str = "2026-04-01T12:00:00Z";
/// Only bounds a hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
struct Count {
    lost: usize,
    doubled: usize,
    /// Doubled mails with a `Message-ID` of their own, which no mail box can recognise.
    unrecognisable: usize,
    switched_off: usize,
    /// Held for a person, because their process died three times with them; released by the test in the end.
    held: usize,
}

/// When the process is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// The server took the mail, and the process was not told.
    Taken,
    /// The mail was on its way, and the server did not get it.
    Underway,
}

struct Stage {
    folder: tempfile::TempDir,
    catcher: MailCatcher,
    gate: Keeper,
    app: chat::Running,
}

/// Not told anything: the accounts are written into the tables, and enrolled by the test.
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

impl Stage {
    /// The application with its accounts, and a mail server behind a gate.
    async fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let app = chat::start(ChatOptions {
            database: folder.path().join("chat.db"),
            listen: "127.0.0.1:0".parse().unwrap(),
            webhook_secret: None,
            hence: Arc::new(Nobody),
            clock: Arc::new(|| ENDED.parse().unwrap()),
        })
        .await
        .unwrap();
        let catcher = MailCatcher::start(None).await.unwrap();
        let gate = Keeper::before(&catcher).await;
        let stage = Stage { folder, catcher, gate, app };
        let database = stage.database();
        for id in 1..=CUSTOMERS {
            let row = "insert into account (id, email, timezone, created_at, trial_days, status) values (?1, ?2, 'UTC', ?3, 30, 'trial')";
            database.execute(row, (id, format!("a{id}@example.com"), BEGAN)).unwrap();
        }
        stage
    }

    fn database(&self) -> Connection {
        Connection::open(self.folder.path().join("chat.db")).unwrap()
    }

    /// Starts a process, lets it work until the mail behind `after` others is stuck, and kills it.
    async fn kill(&self, process: Command, moment: Moment, after: u64) {
        self.gate.forget();
        self.gate.set(match moment {
            Moment::Taken => Gate::Silent { after },
            Moment::Underway => Gate::Deaf { after },
        });
        let mut child = started(process);
        tokio::time::timeout(PATIENCE, self.gate.stuck()).await.expect("the process sent no mail that it could be killed at");
        child.kill().await.unwrap();
        self.gate.set(Gate::Shut);
        self.gate.set(Gate::Open);
    }

    async fn end(self, held: usize) -> Count {
        let off = "select count(*) from account where status = 'deactivated'";
        let switched_off: i64 = self.database().query_row(off, (), |row| row.get(0)).unwrap();
        self.app.stop().await.unwrap();
        let mut got: BTreeMap<(String, String), Vec<CaughtMail>> = BTreeMap::new();
        for mail in self.catcher.stop().await {
            got.entry((mail.to[0].clone(), mail.subject.clone())).or_default().push(mail);
        }
        let wanted = usize::try_from(CUSTOMERS).unwrap() * 2;
        let doubled = got.values().flat_map(|mails| &mails[1..]);
        let unrecognisable =
            got.values().flat_map(|mails| mails[1..].iter().filter(|mail| mail.message_id != mails[0].message_id));
        Count {
            lost: wanted - got.len(),
            doubled: doubled.count(),
            unrecognisable: unrecognisable.count(),
            switched_off: switched_off.try_into().unwrap(),
            held,
        }
    }
}

fn started(mut process: Command) -> Child {
    process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap()
}

fn batch(stage: &Stage, now: &str, in_doubt: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-batch"));
    command.arg("--database").arg(stage.folder.path().join("chat.db"));
    command.args(["--mail", &stage.gate.url(), "--now", now, "--in-doubt", in_doubt]);
    command
}

async fn batch_killed(in_doubt: &str, moment: Moment) -> Count {
    let stage = Stage::new().await;
    for now in [REMINDED, ENDED] {
        for after in KILLS {
            stage.kill(batch(&stage, now, in_doubt), moment, after).await;
        }
        let status = tokio::time::timeout(PATIENCE, started(batch(&stage, now, in_doubt)).wait()).await.unwrap().unwrap();
        assert!(status.success());
    }
    stage.end(0).await
}

/// How often a process is killed in each play.
const KILLED: usize = 2 * KILLS.len();
/// Nobody got anything twice, nobody went without.
const RIGHT: Count = Count { lost: 0, doubled: 0, unrecognisable: 0, switched_off: 80, held: 0 };

#[tokio::test(flavor = "multi_thread")]
async fn killed_jobs_that_send_again_double_one_mail_a_kill() {
    assert_eq!(batch_killed("send", Moment::Taken).await, Count { doubled: KILLED, ..RIGHT });
    assert_eq!(batch_killed("send", Moment::Underway).await, RIGHT);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_jobs_that_leave_what_is_in_doubt_lose_one_mail_a_kill() {
    assert_eq!(batch_killed("leave", Moment::Underway).await, Count { lost: KILLED, ..RIGHT });
    assert_eq!(batch_killed("leave", Moment::Taken).await, RIGHT);
}

/// The binary `hence` that was built beside this one, or else is built now.
fn hence_binary() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_chat-batch")).with_file_name("hence");
    if !beside.exists() {
        let built =
            std::process::Command::new(env!("CARGO")).args(["build", "--quiet", "--package", "hence-cli"]).status().unwrap();
        assert!(built.success() && beside.exists(), "the binary `hence` could not be built");
    }
    beside
}

async fn client(stage: &Stage) -> Client {
    let path = stage.folder.path().join("hence.db");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, SqliteOptions::new(OpenMode::Create)).unwrap());
    Client::open(store, FactReaders::default(), "app").await.unwrap()
}

/// Enrols everybody, writes the configuration, and sets the clock going to the end of the play.
async fn enrol(stage: &Stage, attempts_max: u32) -> Client {
    let client = client(stage).await;
    client.clock().make_virtual(BEGAN.parse().unwrap()).await.unwrap();
    // Without the spread all reminders are due at once, so that as many as can be are under way when the process is killed.
    let definition = trial("").replace("spread = \"30 minutes\"\n", "");
    std::fs::create_dir(stage.folder.path().join("timelines")).unwrap();
    std::fs::write(stage.folder.path().join("timelines/trial.toml"), &definition).unwrap();
    client.put_definition(&definition).await.unwrap();
    for id in 1..=CUSTOMERS {
        let facts = json!({ "account": { "email": format!("a{id}@example.com"), "timezone": "UTC", "status": "trial" } });
        let enrolment =
            Enrolment::new("trial".parse().unwrap(), entity(id)).given("created_at".parse().unwrap(), BEGAN.parse().unwrap());
        assert_eq!(client.tell(Telling::enrol(enrolment.facts(facts))).await.unwrap(), Told::CarriedOut);
    }
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates");
    let configuration = format!(
        "[store]\nurl = \"sqlite:hence.db\"\n[timelines]\npaths = [\"timelines\"]\n[engine]\nattempts_max = {attempts_max}\n\
         [targets.app]\nurl = \"{}\"\nallow_private = true\n\
         [mail]\nurl = \"{}\"\nfrom = \"Little Chat <hello@chat.example>\"\ntemplates = \"{}\"\n",
        stage.app.url(),
        stage.gate.url(),
        templates.display()
    );
    std::fs::write(stage.folder.path().join("hence.toml"), configuration).unwrap();
    client
}

async fn hence_killed(attempts_max: u32, moment: Moment) -> Count {
    let stage = Stage::new().await;
    let client = enrol(&stage, attempts_max).await;
    let serve = || {
        let mut command = Command::new(hence_binary());
        command.current_dir(stage.folder.path()).args(["serve"]);
        command
    };
    let mut held = 0;
    for end in [REMINDED, ENDED] {
        let end: Timestamp = end.parse().unwrap();
        client.advance(end).await.unwrap();
        for after in KILLS {
            stage.kill(serve(), moment, after).await;
        }
        let mut last = started(serve());
        let arrived = async {
            while client.now().await.unwrap() < end {
                assert!(last.try_wait().unwrap().is_none(), "the engine stopped by itself");
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, arrived).await.expect("the clock did not arrive");
        held += tokio::time::timeout(PATIENCE, release(&client, end)).await.expect("what was released is not done");
        last.kill().await.unwrap();
    }
    stage.end(held).await
}

/// Releases what is held and waits until nothing is due any more; how many were held.
async fn release(client: &Client, end: Timestamp) -> usize {
    let due = UpcomingFilter { due_until: Some(end), ..UpcomingFilter::default() };
    let mut held = 0;
    loop {
        let waiting = client.store().upcoming(&due, PageRequest::first(1000)).await.unwrap().items;
        for task in waiting.iter().filter(|task| task.state == TaskState::Held) {
            client.release(task.id, "looked at").await.unwrap();
            held += 1;
        }
        if waiting.is_empty() {
            return held;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_hence_loses_nothing_and_doubles_what_was_under_way() {
    assert_eq!(hence_killed(1, Moment::Taken).await, Count { doubled: KILLED, ..RIGHT });
    assert_eq!(hence_killed(1, Moment::Underway).await, RIGHT);
    let many = hence_killed(16, Moment::Taken).await;
    println!("sixteen attempts at a time, {KILLED} kills: {many:?}");
    assert_eq!(many, Count { doubled: many.doubled, held: many.held, ..RIGHT });
    assert!((KILLED..=KILLED * 16).contains(&many.doubled) && many.held <= KILLED * 16 / 3, "{many:?}");
}
