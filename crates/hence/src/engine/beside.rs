//! Wishes that need facts to be read, being carried out beside the engine's loop: one batch at a time.
//!
//! Invariant: a batch that was begun is waited for before the engine gives its lease back. One that breaks leaves its wishes in the
//! inbox, where they are found again.

use std::sync::Arc;

use hence_store::port::InboxEntry;
use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::client::Client;
use crate::error::Error;
use crate::host::Spawned;
use crate::settle;

/// A batch under way.
pub(super) struct Beside {
    _work: Spawned,
    end: oneshot::Receiver<Result<(), Error>>,
}

impl Beside {
    /// Begins to carry these wishes out; the engine is woken when that has ended.
    pub(super) fn begin(client: &Client, entries: Vec<InboxEntry>, now: Timestamp) -> Self {
        let (told, end) = oneshot::channel();
        let host = Arc::clone(client.host());
        let client = client.clone();
        let work = async move {
            let read = settle::settle(&client, entries, (now, Some(settle::READING_MAX))).await;
            // Nobody listens any more once the engine has failed.
            let _ = told.send(read.map(|_| ()));
            client.told().notify_one();
        };
        Self { _work: host.spawn(Box::pin(work)), end }
    }

    /// What it came to, if it has ended.
    pub(super) fn ended_now(&mut self) -> Option<Result<(), Error>> {
        match self.end.try_recv() {
            Ok(read) => Some(read),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(broken()),
        }
    }

    /// What it came to.
    pub(super) async fn ended(self) -> Result<(), Error> {
        let Self { _work, end } = self;
        end.await.unwrap_or_else(|_| broken())
    }
}

fn broken() -> Result<(), Error> {
    tracing::error!("carrying wishes out broke; they stay in the inbox");
    Ok(())
}
