//! The receiver: a real HTTP server that has each request on disk before it answers.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// One request, as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) at: Timestamp,
    /// The number of the task in the store, from the request's id.
    pub(crate) task: i64,
    pub(crate) id: String,
    /// The entity and the step.
    pub(crate) about: (String, String),
    pub(crate) attempt: u64,
    pub(crate) fence: i64,
    pub(crate) due_at: Timestamp,
    pub(crate) possible_duplicate: bool,
}

struct Log {
    file: Mutex<(File, Vec<Received>)>,
}

/// A server on this machine.
pub(crate) struct Receiver {
    port: u16,
    log: Arc<Log>,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Receiver {
    /// Begins on a free port.
    pub(crate) async fn begin(path: &Path) -> Result<Self> {
        let log = Arc::new(Log { file: Mutex::new((File::create(path)?, Vec::new())) });
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port is free")?;
        let port = listener.local_addr()?.port();
        let routes = Router::new().fallback(receive).with_state(Arc::clone(&log));
        let stop = CancellationToken::new();
        let serving = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
        Ok(Self { port, log, stop, serving: tokio::spawn(async move { serving.await }) })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many requests have arrived.
    pub(crate) fn count(&self) -> usize {
        self.log.file.lock().unwrap_or_else(PoisonError::into_inner).1.len()
    }

    /// Ends it; everything that arrived.
    pub(crate) async fn end(self) -> Result<Vec<Received>> {
        self.stop.cancel();
        self.serving.await.context("the receiver broke")??;
        Ok(self.log.file.lock().unwrap_or_else(PoisonError::into_inner).1.clone())
    }
}

async fn receive(State(log): State<Arc<Log>>, body: Bytes) -> StatusCode {
    let at = Timestamp::now();
    let kept = tokio::task::spawn_blocking(move || log.keep(at, &body));
    match kept.await {
        Ok(Ok(())) => StatusCode::NO_CONTENT,
        // Not kept is not received.
        Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Log {
    fn keep(&self, at: Timestamp, body: &[u8]) -> Result<()> {
        let received = read(at, body)?;
        let mut log = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let line = json!({ "at": at.to_string(), "id": received.id, "attempt": received.attempt, "fence": received.fence });
        writeln!(log.0, "{line}")?;
        log.0.sync_data()?;
        log.1.push(received);
        Ok(())
    }
}

fn read(at: Timestamp, body: &[u8]) -> Result<Received> {
    let event: Value = serde_json::from_slice(body)?;
    let text = |key: &str| event[key].as_str().with_context(|| format!("the event has no `{key}`"));
    let id = text("id")?.to_owned();
    let task = id.rsplit('_').next().unwrap_or_default().parse()?;
    let step = text("type")?.rsplit('.').next().unwrap_or_default().to_owned();
    Ok(Received {
        at,
        task,
        about: (text("subject")?.to_owned(), step),
        attempt: event["henceattempt"].as_u64().context("the event has no attempt")?,
        fence: text("hencefence")?.parse()?,
        due_at: text("hencedue")?.parse()?,
        possible_duplicate: event["hencepossibleduplicate"].as_bool().context("the event has no mark")?,
        id,
    })
}
