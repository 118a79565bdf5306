//! The back end of a little chat widget, with a 30-day trial that Hence looks after.
//!
//! Owns its accounts, a plain page, an HTTP interface and a database of its own. It knows Hence only by what it tells it
//! ([`HenceCalls`]) and by the webhook it receives; it keeps no list of what is to happen and when. `timelines/trial.toml`
//! says that. [`population`] makes up customers for `hence demo`.
//!
//! There is no login: it is an example, to be bound to loopback.

mod hence_calls;
mod population;

mod accounts;
mod app;
mod database;
mod outbox;
mod page;
mod routes;
mod webhook;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use accounts::TRIAL_DAYS;
pub use hence_calls::{AccountId, HenceCalls};
pub use population::{Action, What, population};

use app::App;
use database::Database;
use outbox::Teller;

/// How long open connections may take to end when the back end is stopped.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Says what time it is; may be a virtual clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the back end needs to run.
pub struct ChatOptions {
    /// Its own SQLite file; made when missing.
    pub database: PathBuf,
    /// Where it listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The secret (`whsec_…`) that webhooks are signed with; `None` takes unsigned ones.
    pub webhook_secret: Option<String>,
    /// How Hence is told what happened.
    pub hence: Arc<dyn HenceCalls>,
    /// Its clock. Signatures are always judged by the wall clock.
    pub clock: Clock,
}

impl fmt::Debug for ChatOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatOptions").field("database", &self.database).field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// A back end that runs until it is stopped.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
    teller: JoinHandle<()>,
}

impl Running {
    /// Where it listens, as an address for a browser, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Takes no more requests, ends those under way, and returns when nothing of it runs any more.
    ///
    /// # Errors
    /// The server or the teller had come to grief.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let server = self.server.abort_handle();
        match tokio::time::timeout(STOP_TIMEOUT, self.server).await {
            Ok(ended) => ended.context("the chat server panicked")?.context("the chat server failed")?,
            // A connection that never ends must not keep the back end alive.
            Err(_) => server.abort(),
        }
        self.teller.await.context("the teller of the chat back end panicked")
    }
}

/// Opens the database, listens, and tells Hence whatever an earlier run left untold.
///
/// # Errors
/// The database, the secret or the address cannot be used.
pub async fn start(options: ChatOptions) -> anyhow::Result<Running> {
    let ChatOptions { database, listen, webhook_secret, hence, clock } = options;
    let verifier = webhook_secret.map(|secret| Webhook::new(&secret)).transpose().context("the webhook secret cannot be used")?;
    let database = tokio::task::spawn_blocking(move || Database::open(&database)).await??;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let addr = listener.local_addr()?;
    let stop = CancellationToken::new();
    let (teller, asks) = mpsc::channel(outbox::ASKS_MAX);
    let app = App {
        database: database.clone(),
        teller,
        verifier: verifier.map(Arc::new),
        clock,
        fail_until: Arc::new(Mutex::new(None)),
    };
    let teller = tokio::spawn(Teller { database, hence, asks, stop: stop.clone() }.run());
    let routes = routes::routes(app).into_make_service_with_connect_info::<SocketAddr>();
    let until = stop.clone().cancelled_owned();
    let server = tokio::spawn(async move { axum::serve(listener, routes).with_graceful_shutdown(until).await });
    Ok(Running { addr, stop, server, teller })
}
