//! What Hence has still to be told, and the one task that tells it.
//!
//! Owns the table `outbox` and the [`Teller`]. A message is written in the transaction of what it is about and removed
//! when Hence took it; between the two a crash or a deaf Hence only delays it. Leaves to others: how Hence is reached.
//!
//! Invariants: one account's messages are told in the order in which they happened, and none before the one ahead of it
//! was taken; one message is under way at a time. A message may be told twice, when the answer to the first was lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::database::{Database, Failure, instant_of, text_of};
use crate::hence_calls::{AccountId, HenceCalls};

/// Messages read at once.
const PAGE: u32 = 100;
/// Requests that may wait for the teller; the next ones wait to get in.
pub(crate) const ASKS_MAX: usize = 64;
/// How long Hence may take for one message.
const TELL_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest problem that is kept, in characters.
const PROBLEM_MAX: usize = 500;

/// One thing to tell.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) account: AccountId,
    /// The event's name; `None` is the enrolment.
    pub(crate) event: Option<String>,
    pub(crate) at: Timestamp,
    /// What the event carries.
    pub(crate) content: Value,
    pub(crate) facts: Value,
}

/// Writes a message down, inside the transaction of what it is about.
pub(crate) fn put(connection: &Connection, message: &Message) -> Result<(), Failure> {
    connection.execute(
        "insert into outbox (account_id, event, at, content, facts) values (?1, ?2, ?3, ?4, ?5)",
        params![message.account.0, message.event, text_of(message.at), message.content.to_string(), message.facts.to_string()],
    )?;
    Ok(())
}

/// How many messages wait, and the newest problem with one.
pub(crate) fn waiting(connection: &Connection) -> Result<(i64, Option<String>), Failure> {
    Ok(connection.query_row(
        "select count(*), (select problem from outbox where problem is not null order by number desc limit 1) from outbox",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?)
}

fn page(connection: &Connection, only: Option<AccountId>, after: i64) -> Result<Vec<(i64, Message)>, Failure> {
    let mut statement = connection.prepare(
        "select number, account_id, event, at, content, facts from outbox
         where number > ?1 and (?2 is null or account_id = ?2) order by number limit ?3",
    )?;
    let mut rows = statement.query(params![after, only.map(|id| id.0), PAGE])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        let message = Message {
            account: AccountId(row.get(1)?),
            event: row.get(2)?,
            at: instant_of(&row.get::<_, String>(3)?)?,
            content: serde_json::from_str(&row.get::<_, String>(4)?)?,
            facts: serde_json::from_str(&row.get::<_, String>(5)?)?,
        };
        messages.push((row.get(0)?, message));
    }
    Ok(messages)
}

/// What became of a request to tell.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) sent: u32,
    pub(crate) problem: Option<String>,
}

/// A request to tell what waits, for one account or for all.
pub(crate) struct Ask {
    only: Option<AccountId>,
    answer: oneshot::Sender<Result<Told, Failure>>,
}

/// Asks the teller and waits for what became of it.
pub(crate) async fn tell(teller: &mpsc::Sender<Ask>, only: Option<AccountId>) -> Result<Told, Failure> {
    let (answer, told) = oneshot::channel();
    let stopped = || anyhow!("the chat back end is being stopped");
    teller.send(Ask { only, answer }).await.map_err(|_| stopped())?;
    told.await.map_err(|_| stopped())?
}

/// The only one who talks to Hence.
pub(crate) struct Teller {
    pub(crate) database: Database,
    pub(crate) hence: Arc<dyn HenceCalls>,
    pub(crate) asks: mpsc::Receiver<Ask>,
    pub(crate) stop: CancellationToken,
}

impl Teller {
    /// Tells what an earlier run left over, then what it is asked to, until it is stopped.
    pub(crate) async fn run(mut self) {
        match self.tell_waiting(None).await {
            Ok(Told { problem: Some(problem), .. }) => tracing::warn!(problem, "could not tell Hence everything left over"),
            Ok(_) => {}
            Err(failure) => tracing::error!(?failure, "cannot read what Hence has still to be told"),
        }
        loop {
            let ask = tokio::select! {
                () = self.stop.cancelled() => return,
                ask = self.asks.recv() => ask,
            };
            let Some(ask) = ask else { return };
            let told = self.tell_waiting(ask.only).await;
            // Who asked may have gone away; what was told is told all the same.
            let _ = ask.answer.send(told);
        }
    }

    async fn tell_waiting(&self, only: Option<AccountId>) -> Result<Told, Failure> {
        let mut told = Told::default();
        let mut blocked = BTreeSet::new();
        let mut after = 0;
        loop {
            let messages = self.database.call(move |connection| page(connection, only, after)).await?;
            let Some((last, _)) = messages.last() else { return Ok(told) };
            after = *last;
            for (number, message) in messages {
                if self.stop.is_cancelled() {
                    told.problem = Some("the chat back end is being stopped".to_owned());
                    return Ok(told);
                }
                if blocked.contains(&message.account) {
                    continue;
                }
                match self.send(&message).await {
                    Ok(()) => {
                        told.sent += 1;
                        self.database
                            .call(move |connection| Ok(connection.execute("delete from outbox where number = ?1", [number])?))
                            .await?;
                    }
                    Err(error) => {
                        blocked.insert(message.account);
                        let problem: String = format!("{error:#}").chars().take(PROBLEM_MAX).collect();
                        told.problem = Some(problem.clone());
                        let keep = "update outbox set problem = ?2 where number = ?1";
                        self.database.call(move |connection| Ok(connection.execute(keep, params![number, problem])?)).await?;
                    }
                }
            }
        }
    }

    async fn send(&self, message: &Message) -> anyhow::Result<()> {
        let Message { account, event, at, content, facts } = message.clone();
        let call = match &event {
            None => self.hence.enrol(account, at, facts),
            Some(event) => self.hence.event(account, event, at, content, facts),
        };
        tokio::time::timeout(TELL_TIMEOUT, call).await.context("Hence did not answer in time")?
    }
}
