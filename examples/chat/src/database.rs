//! The back end's own SQLite database and the two ways in which using it can end badly.
//!
//! Owns the connection, one behind a mutex, used on blocking threads only. Leaves to others: what the tables mean.
//! Invariant: a connection is never held over an `.await`.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::http::StatusCode;
use jiff::Timestamp;
use rusqlite::Connection;

/// How long to wait for another program that is looking into the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why something asked for was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It must not or cannot be done; the text is for the one who asked.
    Refused(StatusCode, String),
    /// Something of ours is broken.
    Broken(anyhow::Error),
}

impl Failure {
    pub(crate) fn refused(status: StatusCode, message: impl Into<String>) -> Failure {
        Failure::Refused(status, message.into())
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Broken(error.into())
    }
}

/// The database; cloning shares the connection.
#[derive(Clone)]
pub(crate) struct Database {
    connection: Arc<Mutex<Connection>>,
}

impl Database {
    /// Opens the file, creating it and its tables where they are missing.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Database> {
        let connection = Connection::open(path).with_context(|| format!("cannot open the database {}", path.display()))?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.execute_batch(include_str!("schema.sql")).context("cannot create the tables")?;
        Ok(Database { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Runs `work` on a blocking thread and waits until it ended.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let connection = Arc::clone(&self.connection);
        let running = tokio::task::spawn_blocking(move || {
            // A panic in the middle rolled its transaction back, so the connection can go on.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut connection)
        });
        running.await?
    }
}

/// An instant as the tables have it.
pub(crate) fn text_of(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// An instant read from a table.
pub(crate) fn instant_of(text: &str) -> Result<Timestamp, Failure> {
    Ok(text.parse::<Timestamp>().with_context(|| format!("the database has `{text}` where an instant should be"))?)
}
