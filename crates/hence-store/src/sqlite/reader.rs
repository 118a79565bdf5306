//! Readers: a few connections that only read, each used by one call at a time on a blocking thread.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::connection::Connected;
use super::{SqliteOptions, failure};
use crate::error::{Error, ErrorKind};

/// How many calls read at once; others wait. More would not be quicker, and each costs memory for pages.
const READERS_MAX: usize = 4;

/// The connections that read.
pub(super) struct Readers {
    path: PathBuf,
    options: SqliteOptions,
    idle: Arc<Mutex<Vec<Connected>>>,
    places: Arc<Semaphore>,
}

impl Readers {
    /// No connection yet; the first ones are opened when they are needed.
    pub(super) fn new(path: PathBuf, options: SqliteOptions) -> Self {
        Self { path, options, idle: Arc::default(), places: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    /// The result of `work`, which sees the store at one instant.
    pub(super) async fn call<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&mut Connected) -> Result<T, Error> + Send + 'static,
    {
        let gone = || Error::new(ErrorKind::Unavailable, "the readers of the store have ended");
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| gone())?;
        let idle = Arc::clone(&self.idle);
        let (path, options) = (self.path.clone(), self.options.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let _place = place;
            let free = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connected = match free {
                Some(connected) => connected,
                None => Connected::reader(&path, &options)?,
            };
            let result = read(&mut connected, work);
            if connected.connection.is_autocommit() {
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(connected);
            }
            result
        });
        reading.await.map_err(|error| gone().caused_by(error))?
    }
}

fn read<T>(connected: &mut Connected, work: impl FnOnce(&mut Connected) -> Result<T, Error>) -> Result<T, Error> {
    let cannot = |error| failure(error, "the store cannot be read");
    connected.control("begin").map_err(cannot)?;
    let result = work(connected);
    connected.control("rollback").map_err(cannot)?;
    result
}
