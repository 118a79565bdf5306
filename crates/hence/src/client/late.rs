//! Asking why a task is late: what the core needs to say so, gathered from the store.

use hence_core::name::EntityKey;
use hence_core::reason::delay::{self, Around, Delay, EngineSeen, Waiting};
use hence_core::task::Task;
use hence_store::port::{CountOf, CountSpan, CountsFilter, EntityFilter, Life, NodeRow, PageRequest};
use jiff::{SignedDuration, Timestamp};

use super::Client;
use crate::error::Error;

impl Client {
    /// Everything that holds back a task that is due, what must end first coming first; nothing for one that is not due, or that starts
    /// at once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # use hence::jiff::SignedDuration;
    /// # let client = hence::Hence::builder().client().await?;
    /// # let due_at = client.now().await? + SignedDuration::from_hours(24);
    /// # client.schedule("order/7", "call", due_at, serde_json::json!({ "handler": "call" })).await?;
    /// # let task = client.upcoming("order/7").await?.remove(0);
    /// assert!(client.delays(&task).await?.is_empty(), "it is not due yet");
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// The store cannot be read.
    pub async fn delays(&self, task: &Task) -> Result<Vec<Delay>, Error> {
        let (store, now) = (self.store(), self.now().await?);
        let snapshots = store.snapshots(std::slice::from_ref(&task.entity)).await?;
        let Some(snapshot) = snapshots.first() else { return Ok(Vec::new()) };
        let (wishes, waiting) = self.wishes_waiting(&task.entity).await?;
        let around = Around {
            snapshot,
            wishes,
            waiting: waiting.as_ref(),
            engine: self.engine_seen().await?,
            due_before: self.due_before(task.due_at).await?,
            now,
        };
        Ok(delay::delays(task, around))
    }

    /// What was told of the entity and is not carried out yet, with the reason where it was tried; `None` when there is no such thing.
    /// # Errors
    /// The store cannot be read.
    pub async fn not_carried_out(&self, entity: &EntityKey) -> Result<Option<Delay>, Error> {
        let (count, waiting) = self.wishes_waiting(entity).await?;
        Ok((count > 0).then_some(Delay::Wishes { count, waiting }))
    }

    async fn wishes_waiting(&self, entity: &EntityKey) -> Result<(u64, Option<Waiting>), Error> {
        let count = self.store().wishes_of(entity).await?.len() as u64;
        // The entity itself comes first among those whose written form begins like its own.
        let filter = EntityFilter { prefix: Some(entity.to_string()), is_postponed: true, ..EntityFilter::default() };
        let rows = self.store().entities(&filter, PageRequest::first(1)).await?.items;
        let postponed = rows.into_iter().find(|row| row.entity == *entity).and_then(|row| row.postponed);
        Ok((count, postponed.map(|one| Waiting { since: one.since, try_at: one.try_at, problem: one.problem })))
    }

    /// Whether an engine owns anything. A store that cannot tell the life of a process says when its node was seen last.
    async fn engine_seen(&self) -> Result<EngineSeen, Error> {
        let seen = self.store().ownership().await?;
        let is_owner = |node: &&NodeRow| seen.shards.iter().any(|shard| shard.holder.as_deref() == Some(node.node.as_str()));
        let last_seen = seen.nodes.iter().map(|node| node.beaten_at).max();
        let owners: Vec<&NodeRow> = seen.nodes.iter().filter(is_owner).collect();
        Ok(if owners.iter().any(|node| node.life == Life::Alive) {
            EngineSeen::Alive
        } else if owners.iter().any(|node| node.life == Life::Unknown) {
            EngineSeen::Unknown
        } else {
            EngineSeen::Gone { last_seen }
        })
    }

    /// About how many tasks that are not final were due before: those of the hours up to that instant, by the counters.
    async fn due_before(&self, at: Timestamp) -> Result<u64, Error> {
        let until = at.saturating_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX);
        let filter = CountsFilter {
            of: CountOf::Upcoming,
            span: CountSpan::Hour,
            from: Timestamp::MIN,
            until,
            timeline: None,
            step: None,
        };
        let counts = self.store().counts(&filter).await?;
        Ok(counts.iter().map(|count| count.count).sum::<u64>().saturating_sub(1))
    }
}
