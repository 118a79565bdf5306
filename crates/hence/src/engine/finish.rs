//! Writing the ends of attempts: each with its follow-ups, many in one write, under the lease.

use std::collections::BTreeMap;

use hence_core::carry_out;
use hence_core::decide::Rules;
use hence_core::definition::Guarantee;
use hence_core::name::{EntityKey, TaskId};
use hence_core::task::{AttemptEnd, Task, TaskEvent, TaskState};
use hence_core::timeline::{ChangeSet, EntitySnapshot};
use hence_store::port::{Conflict, Lease, Written};
use jiff::Timestamp;

use super::Ended;
use crate::client::Client;
use crate::error::Error;
use crate::settle;

/// Writes the ends. An end whose task is no longer running under its fence is dropped: another owner was first.
pub(super) async fn write(client: &Client, lease: &Lease, ended: Vec<Ended>) -> Result<(), Error> {
    let events = ended
        .into_iter()
        .map(|ended| {
            let fence = ended.fence();
            (ended.task, TaskEvent::End { fence, end: ended.end })
        })
        .collect();
    apply(client, lease, events).await
}

/// Takes over running tasks of nodes that are gone.
pub(super) async fn take_over(client: &Client, lease: &Lease, orphans: Vec<Task>) -> Result<(), Error> {
    let library = client.library();
    let entities: Vec<EntityKey> = orphans.iter().map(|task| task.entity.clone()).collect();
    let snapshots = client.store().snapshots(&entities).await?;
    let events = orphans
        .into_iter()
        .zip(&snapshots)
        .map(|(task, snapshot)| {
            let rules = Rules::of(&task, snapshot, &library);
            let may_repeat = rules.is_ok_and(|rules| rules.step.delivery == Guarantee::AtLeastOnce);
            (task, TaskEvent::TakeOver { may_repeat })
        })
        .collect();
    apply(client, lease, events).await
}

/// Applies events to stored tasks, each as it is stored now, until all are written or refused.
async fn apply(client: &Client, lease: &Lease, events: Vec<(Task, TaskEvent)>) -> Result<(), Error> {
    let mut waiting: BTreeMap<TaskId, (Task, TaskEvent)> = events.into_iter().map(|event| (event.0.id, event)).collect();
    while !waiting.is_empty() {
        let now = client.now().await?;
        // One task of an entity at a time: a second change is planned from what the first one left.
        let mut by_entity: BTreeMap<EntityKey, TaskId> = BTreeMap::new();
        for (id, (task, _)) in &waiting {
            by_entity.entry(task.entity.clone()).or_insert(*id);
        }
        let entities: Vec<EntityKey> = by_entity.keys().cloned().collect();
        let snapshots = client.store().snapshots(&entities).await?;
        let mut planned: Vec<(TaskId, ChangeSet)> = Vec::new();
        for snapshot in &snapshots {
            let Some(id) = by_entity.get(&snapshot.entity) else { continue };
            let Some((task, event)) = waiting.get(id) else { continue };
            match plan(client, snapshot, (*id, event), now) {
                Some(changes) => planned.push((*id, changes)),
                None => {
                    tracing::warn!(task = %id, "an attempt ended that is no longer current; its end is dropped");
                    planned.extend(late(snapshot, task, event, now).map(|changes| (*id, changes)));
                    waiting.remove(id);
                }
            }
        }
        settle::number(client, planned.iter_mut().map(|(_, changes)| changes)).await?;
        let sets: Vec<ChangeSet> = planned.iter().map(|(_, changes)| changes.clone()).collect();
        let written = client.store().write(Some(lease), sets, now).await?;
        for ((id, changes), written) in planned.into_iter().zip(written) {
            match written {
                Written::Applied => {
                    client.under_way().written(&changes);
                    waiting.remove(&id);
                }
                Written::Conflict(conflict @ Conflict::FenceLost(_)) => {
                    tracing::warn!(task = %id, %conflict, "the end of an attempt is dropped");
                    waiting.remove(&id);
                }
                Written::Conflict(conflict) => tracing::debug!(task = %id, %conflict, "planned again"),
            }
        }
    }
    Ok(())
}

fn plan(client: &Client, snapshot: &EntitySnapshot, (id, event): (TaskId, &TaskEvent), now: Timestamp) -> Option<ChangeSet> {
    let task = snapshot.live.iter().find(|task| task.id == id && task.state == TaskState::Running)?;
    carry_out::finish(snapshot, task, event.clone(), &client.library(), now).ok()
}

/// What is kept of the outcome of an attempt that is no longer current.
fn late(snapshot: &EntitySnapshot, task: &Task, event: &TaskEvent, now: Timestamp) -> Option<ChangeSet> {
    let TaskEvent::End { end: AttemptEnd::Done { outcome, .. }, .. } = event else { return None };
    let is_known = snapshot.records.iter().any(|record| record.task == Some(task.id));
    let record = task.apply(event.clone(), now).ok()?.record?;
    is_known.then(|| carry_out::late_outcome(&record, outcome, now))
}
