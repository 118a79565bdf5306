//! Operating on one stored task: cancel, hold, release, run now, move. Each is the conditional write itself and answers at once.

use hence_core::carry_out;
use hence_core::decide::Rules;
use hence_core::name::{Fence, TaskId};
use hence_core::reason::Reason;
use hence_core::sabotage::{Bug, is_planted};
use hence_core::task::{AttemptEnd, Refused, Task, TaskEvent, TaskState};
use hence_core::timeline::ChangeSet;
use hence_store::port::{TaskView, Written};
use jiff::Timestamp;

use super::Client;
use crate::error::Error;
use crate::settle;

/// How often a write is tried again because another came first.
const TRIES_MAX: usize = 16;

/// What a cancel came to (G13). See [`Client::cancel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelAnswer {
    /// No attempt ever starts.
    Cancelled,
    /// An attempt is under way: no further one starts.
    AlreadyRunning {
        /// Its number.
        attempt: u32,
        /// Its fence.
        fence: Fence,
    },
    /// It was final before.
    Already(TaskState),
}

impl Client {
    /// Cancels a task.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # use hence::jiff::SignedDuration;
    /// # let client = hence::Hence::builder().client().await?;
    /// # let due_at = client.now().await? + SignedDuration::from_hours(24);
    /// # client.schedule("order/7", "call", due_at, serde_json::json!({ "handler": "call" })).await?;
    /// # let task = client.upcoming("order/7").await?.remove(0);
    /// let answer = client.cancel(task.id, "the customer called us").await?;
    /// assert_eq!(answer, hence::CancelAnswer::Cancelled);
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// [`Error::NotFound`], or the store cannot be written.
    pub async fn cancel(&self, id: TaskId, text: &str) -> Result<CancelAnswer, Error> {
        match self.change(id, TaskEvent::Cancel { reason: self.person(text) }).await {
            Ok(task) if task.state == TaskState::Running => {
                Ok(CancelAnswer::AlreadyRunning { attempt: task.attempt, fence: task.fence })
            }
            Ok(_) => Ok(CancelAnswer::Cancelled),
            Err(Change::Refused(Refused::Already(state))) => Ok(CancelAnswer::Already(state)),
            Err(change) => Err(change.into()),
        }
    }

    /// Lets a task wait for a person.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # use hence::jiff::SignedDuration;
    /// # let client = hence::Hence::builder().client().await?;
    /// # let due_at = client.now().await? + SignedDuration::from_hours(24);
    /// # client.schedule("order/7", "call", due_at, serde_json::json!({ "handler": "call" })).await?;
    /// # let task = client.upcoming("order/7").await?.remove(0);
    /// client.hold(task.id, "ask the customer first").await?;
    /// client.release(task.id, "asked").await?;
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`]: it is not scheduled; or the store cannot be written.
    pub async fn hold(&self, id: TaskId, text: &str) -> Result<Task, Error> {
        Ok(self.change(id, TaskEvent::Hold { reason: self.person(text) }).await?)
    }

    /// Lets a held task go on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # use hence::jiff::SignedDuration;
    /// # let client = hence::Hence::builder().client().await?;
    /// # let due_at = client.now().await? + SignedDuration::from_hours(24);
    /// # client.schedule("order/7", "call", due_at, serde_json::json!({ "handler": "call" })).await?;
    /// # let task = client.upcoming("order/7").await?.remove(0);
    /// let refused = client.release(task.id, "it is not held").await;
    /// assert!(matches!(refused, Err(hence::ErrorKind::Refused { .. })));
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`]: it is not held; or the store cannot be written.
    pub async fn release(&self, id: TaskId, text: &str) -> Result<Task, Error> {
        Ok(self.change(id, TaskEvent::Release { reason: self.person(text) }).await?)
    }

    /// Makes a waiting or held task due now; a final one is done once more, as a new task that is linked to it. A follow-up comes only
    /// where it ends otherwise than before.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # use hence::jiff::SignedDuration;
    /// # let client = hence::Hence::builder().client().await?;
    /// # let due_at = client.now().await? + SignedDuration::from_hours(24);
    /// # client.schedule("order/7", "call", due_at, serde_json::json!({ "handler": "call" })).await?;
    /// # let task = client.upcoming("order/7").await?.remove(0);
    /// client.run_now(task.id, "the customer is on the phone").await?;
    /// assert!(client.upcoming("order/7").await?[0].wake_at < due_at);
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`]: it is running, or ended and ahead once more already; or the store cannot be written.
    pub async fn run_now(&self, id: TaskId, text: &str) -> Result<(), Error> {
        match self.change(id, TaskEvent::RunNow { reason: self.person(text) }).await {
            Ok(_) => {}
            Err(Change::Refused(Refused::Already(_))) => self.run_again(id, text).await?,
            Err(change) => return Err(change.into()),
        }
        self.told().notify_one();
        Ok(())
    }

    /// Gives a waiting task another instant.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # use hence::jiff::SignedDuration;
    /// # let client = hence::Hence::builder().client().await?;
    /// # let due_at = client.now().await? + SignedDuration::from_hours(24);
    /// # client.schedule("order/7", "call", due_at, serde_json::json!({ "handler": "call" })).await?;
    /// # let task = client.upcoming("order/7").await?.remove(0);
    /// let later = due_at + SignedDuration::from_hours(1);
    /// assert_eq!(client.reschedule(task.id, later, "as asked").await?.due_at, later);
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`]: it is running or final; or the store cannot be written.
    pub async fn reschedule(&self, id: TaskId, due_at: Timestamp, text: &str) -> Result<Task, Error> {
        let task = self.change(id, TaskEvent::Move { due_at, reason: self.person(text) }).await?;
        self.told().notify_one();
        Ok(task)
    }

    /// Ends an attempt whose receiver said that it answers later, under the fence that the attempt carried. `outcome` is `done` or a word
    /// that the step says.
    ///
    /// An answer that comes too late changes nothing and is kept in history as such.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # use hence::jiff::SignedDuration;
    /// # let client = hence::Hence::builder().client().await?;
    /// # let due_at = client.now().await? + SignedDuration::from_hours(24);
    /// # client.schedule("order/7", "call", due_at, serde_json::json!({ "handler": "call" })).await?;
    /// # let task = client.upcoming("order/7").await?.remove(0);
    /// // No attempt is under way: what is said under an outdated fence is refused.
    /// let done = "done".parse()?;
    /// let refused = client.complete(task.id, task.fence, done, serde_json::Value::Null).await;
    /// assert!(matches!(refused, Err(hence::ErrorKind::Refused { .. })));
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`]: the fence is outdated, the task is final, or the step does not say that word; or the store
    /// cannot be written.
    pub async fn complete(
        &self,
        id: TaskId,
        fence: Fence,
        outcome: hence_core::name::Name,
        result: serde_json::Value,
    ) -> Result<Task, Error> {
        let view = self.store().task(id).await?.ok_or_else(|| Error::NotFound(id.to_string()))?;
        let reason = Reason::Answered {
            to: "answered later".to_owned(),
            facts: std::collections::BTreeMap::new(),
            when: None,
            result,
            possible_duplicate: view.live.as_ref().is_some_and(|task| task.possible_duplicate),
        };
        let is_current = |task: &&Task| task.state == TaskState::Running && task.fence == fence;
        if let Some(task) = view.live.as_ref().filter(is_current) {
            self.check_outcome(task, &outcome).await?;
        }
        let end = AttemptEnd::Done { outcome: outcome.clone(), reason };
        match self.change(id, TaskEvent::End { fence, end }).await {
            Ok(task) => {
                self.told().notify_one();
                Ok(task)
            }
            Err(Change::Failed(error)) => Err(error),
            Err(refused @ Change::Refused(_)) => {
                self.keep_late(&view, fence, &outcome).await?;
                Err(refused.into())
            }
        }
    }

    async fn check_outcome(&self, task: &Task, outcome: &hence_core::name::Name) -> Result<(), Error> {
        let snapshots = self.store().snapshots(std::slice::from_ref(&task.entity)).await?;
        let (Some(snapshot), library) = (snapshots.first(), self.library()) else { return Ok(()) };
        let Ok(rules) = Rules::of(task, snapshot, &library) else { return Ok(()) };
        if outcome.as_str() == "done" || rules.step.says.contains(outcome) {
            return Ok(());
        }
        let known: Vec<&str> = std::iter::once("done").chain(rules.step.says.iter().map(|word| word.as_str())).collect();
        let problem = format!("step `{}` does not say `{outcome}`; it says: {}", task.step, known.join(", "));
        Err(Error::Refused { code: "HNC-0309", problem })
    }

    /// Keeps in history that an answer came too late, if there was such an attempt.
    async fn keep_late(&self, view: &TaskView, fence: Fence, outcome: &hence_core::name::Name) -> Result<(), Error> {
        if let Some(row) = view.records.iter().find(|row| fence > Fence(0) && row.record.fence == fence) {
            let now = self.now().await?;
            self.write(carry_out::late_outcome(&row.record, outcome, now), now).await?;
        }
        Ok(())
    }

    fn person(&self, text: &str) -> Reason {
        Reason::Person { actor: self.actor().to_owned(), text: text.to_owned() }
    }

    async fn change(&self, id: TaskId, event: TaskEvent) -> Result<Task, Change> {
        for _ in 0..TRIES_MAX {
            let view = self.store().task(id).await.map_err(Error::from)?;
            let view = view.ok_or_else(|| Error::NotFound(id.to_string()))?;
            let now = self.now().await?;
            let snapshots = self.store().snapshots(std::slice::from_ref(&view.origin.entity)).await.map_err(Error::from)?;
            let Some(snapshot) = snapshots.into_iter().next() else { continue };
            // As it stands in what the write is checked by: the view was read before, and may be older.
            let older = view.live.as_ref().filter(|_| is_planted(Bug::F1));
            let Some(task) = older.or_else(|| snapshot.live.iter().find(|task| task.id == id)) else {
                let state = view.records.iter().rev().find_map(|row| row.record.kind.final_state());
                match state {
                    None if view.live.is_some() => continue,
                    state => return Err(Change::Refused(Refused::Already(state.unwrap_or(TaskState::Done)))),
                }
            };
            let changes = carry_out::finish(&snapshot, task, event.clone(), &self.library(), now).map_err(Change::Refused)?;
            let after = changes.transitions.iter().find(|write| write.id == id).map(|write| write.task.clone());
            if self.write(changes, now).await? {
                return Ok(after.unwrap_or_else(|| task.clone()));
            }
        }
        Err(Error::Contended(id.to_string()).into())
    }

    async fn run_again(&self, id: TaskId, text: &str) -> Result<(), Error> {
        for _ in 0..TRIES_MAX {
            let Some(view) = self.store().task(id).await? else { return Err(Error::NotFound(id.to_string())) };
            let Some(ended) = view.records.iter().rev().find(|row| row.record.kind.final_state().is_some()) else {
                return Err(Error::NotFound(id.to_string()));
            };
            let now = self.now().await?;
            let snapshots = self.store().snapshots(std::slice::from_ref(&view.origin.entity)).await?;
            let Some(snapshot) = snapshots.into_iter().next() else { continue };
            let action = view.origin.action.clone();
            let again = carry_out::RunAgain { ended: &ended.record, action, actor: self.actor(), text };
            let changes = carry_out::run_again(&snapshot, again, &self.library(), now).map_err(Change::Refused)?;
            if self.write(changes, now).await? {
                return Ok(());
            }
        }
        Err(Error::Contended(id.to_string()))
    }

    async fn write(&self, mut changes: ChangeSet, now: Timestamp) -> Result<bool, Error> {
        settle::number(self, std::iter::once(&mut changes)).await?;
        let written = self.store().write(None, vec![changes.clone()], now).await?;
        let is_applied = written.first() == Some(&Written::Applied);
        if is_applied {
            self.under_way().written(&changes);
        }
        Ok(is_applied)
    }
}

/// Why a change was not made: the task refuses it, or something failed.
enum Change {
    Refused(Refused),
    Failed(Error),
}

impl From<Error> for Change {
    fn from(error: Error) -> Self {
        Change::Failed(error)
    }
}

impl From<Change> for Error {
    fn from(change: Change) -> Self {
        match change {
            Change::Failed(error) => error,
            Change::Refused(refused) => Error::Refused { code: "HNC-0310", problem: refused.to_string() },
        }
    }
}
