//! Writing the ends of attempts: each with its follow-ups, many in one write, under the lease.

use std::collections::BTreeMap;

use hence_core::carry_out;
use hence_core::decide::Rules;
use hence_core::definition::Guarantee;
use hence_core::history::Record;
use hence_core::name::{EntityKey, TaskId};
use hence_core::task::{AttemptEnd, Task, TaskEvent, TaskState};
use hence_core::timeline::{ChangeSet, EntitySnapshot};
use hence_store::port::{BATCH_MAX, Conflict, Lease, Written};
use jiff::Timestamp;

use super::{Ended, PATIENCE};
use crate::client::Client;
use crate::error::Error;
use crate::settle;
use crate::under_way::UnderWay;

/// Says that the engine moves.
pub(super) type Step<'s> = &'s (dyn Fn() + Send + Sync);

/// A change to a task that waits to be written.
struct Pending {
    task: Task,
    event: TaskEvent,
    /// What it is planned from: as it was read last. If that is out of date the write is a conflict, and it is read again.
    snapshot: Option<EntitySnapshot>,
}

/// Writes the ends. An end whose task is no longer running under its fence is dropped: another owner was first.
///
/// `step` is called whenever it goes on, also while the store is away and it is tried again.
pub(super) async fn write(client: &Client, lease: &Lease, ended: Vec<Ended>, step: Step<'_>) -> Result<(), Error> {
    let mut changes: Vec<Pending> = Vec::with_capacity(ended.len());
    for Ended { task, end, snapshot } in ended {
        let event = TaskEvent::End { fence: task.fence, end };
        changes.push(Pending { task, event, snapshot });
    }
    while !changes.is_empty() {
        let rest = changes.split_off(changes.len().min(BATCH_MAX));
        apply(client, lease, std::mem::replace(&mut changes, rest), step).await?;
    }
    Ok(())
}

/// Takes over running tasks of nodes that are gone.
pub(super) async fn take_over(client: &Client, lease: &Lease, orphans: Vec<Task>, step: Step<'_>) -> Result<(), Error> {
    let entities: Vec<EntityKey> = orphans.iter().map(|task| task.entity.clone()).collect();
    let snapshots = client.snapshots(&entities).await?;
    let library = client.library();
    let events = orphans
        .into_iter()
        .zip(snapshots)
        .map(|(task, snapshot)| {
            let rules = Rules::of(&task, &snapshot, &library);
            let may_repeat = rules.is_ok_and(|rules| rules.step.delivery == Guarantee::AtLeastOnce);
            Pending { task, event: TaskEvent::TakeOver { may_repeat }, snapshot: Some(snapshot) }
        })
        .collect();
    apply(client, lease, events, step).await
}

/// Applies events to stored tasks, each as it is stored now, until all are written or refused.
async fn apply(client: &Client, lease: &Lease, changes: Vec<Pending>, step: Step<'_>) -> Result<(), Error> {
    let mut waiting: BTreeMap<TaskId, Pending> = changes.into_iter().map(|change| (change.task.id, change)).collect();
    while !waiting.is_empty() {
        step();
        match write_round(client, lease, &mut waiting).await {
            // What was done is not forgotten because it cannot be written down now.
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, waiting = waiting.len(), "ends of attempts cannot be written; they wait");
                client.host().wait(PATIENCE).await;
            }
            Err(error) => return Err(error),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Plans and writes one change of each entity; takes away what was written, or is current no longer.
async fn write_round(client: &Client, lease: &Lease, waiting: &mut BTreeMap<TaskId, Pending>) -> Result<(), Error> {
    let now = client.now().await?;
    let ids = one_of_each_entity(waiting);
    read(client, waiting, &ids).await?;
    let mut planned: Vec<TaskId> = Vec::with_capacity(ids.len());
    let mut sets: Vec<ChangeSet> = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(pending) = waiting.get(&id) else { continue };
        match plan(client, pending, now) {
            Some(changes) => {
                planned.push(id);
                sets.push(changes);
            }
            None => {
                tracing::warn!(task = %id, "an attempt ended that is no longer current; its end is dropped");
                if let Some(changes) = late(pending, now) {
                    planned.push(id);
                    sets.push(changes);
                }
                waiting.remove(&id);
            }
        }
    }
    settle::number(client, sets.iter_mut()).await?;
    let cancels = sets.iter().map(UnderWay::cancelled_by).collect::<Vec<_>>();
    let written = client.store().write(Some(lease), sets, now).await?;
    for ((id, cancelled), written) in planned.into_iter().zip(cancels).zip(written) {
        match written {
            Written::Applied => {
                cancelled.into_iter().for_each(|id| client.under_way().stop(id));
                waiting.remove(&id);
            }
            Written::Conflict(conflict @ Conflict::FenceLost(_)) => {
                tracing::warn!(task = %id, %conflict, "the end of an attempt is dropped");
                waiting.remove(&id);
            }
            Written::Conflict(conflict) => {
                tracing::debug!(task = %id, %conflict, "planned again");
                if let Some(pending) = waiting.get_mut(&id) {
                    pending.snapshot = None;
                }
            }
        }
    }
    Ok(())
}

/// One task of an entity at a time: a second change is planned from what the first one left.
fn one_of_each_entity(waiting: &BTreeMap<TaskId, Pending>) -> Vec<TaskId> {
    let mut by_entity: BTreeMap<&EntityKey, TaskId> = BTreeMap::new();
    for (id, pending) in waiting {
        by_entity.entry(&pending.task.entity).or_insert(*id);
    }
    by_entity.into_values().collect()
}

/// Reads what is stored of those entities that nothing is known of, or that changed since.
async fn read(client: &Client, waiting: &mut BTreeMap<TaskId, Pending>, ids: &[TaskId]) -> Result<(), Error> {
    let unknown: Vec<TaskId> =
        ids.iter().copied().filter(|id| waiting.get(id).is_some_and(|pending| pending.snapshot.is_none())).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let entities: Vec<EntityKey> =
        unknown.iter().filter_map(|id| waiting.get(id)).map(|pending| pending.task.entity.clone()).collect();
    let snapshots = client.snapshots(&entities).await?;
    for (id, snapshot) in unknown.iter().zip(snapshots) {
        if let Some(pending) = waiting.get_mut(id) {
            pending.snapshot = Some(snapshot);
        }
    }
    Ok(())
}

fn plan(client: &Client, pending: &Pending, now: Timestamp) -> Option<ChangeSet> {
    let snapshot = pending.snapshot.as_ref()?;
    let task = snapshot.live.iter().find(|task| task.id == pending.task.id && task.state == TaskState::Running)?;
    carry_out::finish(snapshot, task, pending.event.clone(), &client.library(), now).ok()
}

/// What is kept of the outcome of an attempt that is no longer current.
fn late(pending: &Pending, now: Timestamp) -> Option<ChangeSet> {
    let Pending { task, event, snapshot } = pending;
    let TaskEvent::End { end: AttemptEnd::Done { outcome, .. }, .. } = event else { return None };
    let snapshot = snapshot.as_ref()?;
    // What was written before its answer was lost is not late.
    let is_own =
        |record: &Record| record.task == Some(task.id) && record.fence == task.fence && record.kind.final_state().is_some();
    if snapshot.records.iter().any(is_own) {
        return None;
    }
    let is_known = snapshot.records.iter().any(|record| record.task == Some(task.id));
    let record = task.apply(event.clone(), now).ok()?.record?;
    is_known.then(|| carry_out::late_outcome(&record, outcome, now))
}
