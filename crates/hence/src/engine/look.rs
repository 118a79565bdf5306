//! Looking ahead: when the next thing happens by itself.
//!
//! By the system's clock that is the next scheduled task; whatever else comes with time is looked for in each pass. A virtual clock jumps to
//! what this says, so it must stop at answers that do not come and at erasures too, and must not wait for a task that only an awaited
//! answer holds back.

use hence_core::name::TaskId;
use hence_store::Store;
use hence_store::port::{EntityFilter, Lease, PageRequest};
use jiff::Timestamp;

use crate::error::Error;

/// How many due tasks are looked at in one go.
const PAGE: usize = 100;

/// When the next scheduled task wakes.
pub(super) async fn next(store: &dyn Store, lease: &Lease) -> Result<Option<Timestamp>, Error> {
    Ok(store.due_soon(lease, Timestamp::MAX, None, 1).await?.first().map(|(at, _)| *at))
}

/// Where a virtual clock stops next; `now` or earlier while something due can still start.
pub(super) async fn next_stop(store: &dyn Store, lease: &Lease, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let answer = store.overdue_answers(lease, Timestamp::MAX, 1).await?.first().map(|task| task.wake_at);
    let mut scheduled = next(store, lease).await?;
    if answer.is_some() && scheduled.is_some_and(|at| at <= now) && only_answers_block(store, lease, now).await? {
        let behind = Some((now, TaskId(i64::MAX)));
        scheduled = store.due_soon(lease, Timestamp::MAX, behind, 1).await?.first().map(|(at, _)| *at);
    }
    Ok([scheduled, answer, next_erasure(store, lease).await?].into_iter().flatten().min())
}

/// Whether every task that is due waits for an answer that another task of its entity awaits.
async fn only_answers_block(store: &dyn Store, lease: &Lease, now: Timestamp) -> Result<bool, Error> {
    let mut after = None;
    loop {
        let due = store.due_soon(lease, now, after, PAGE).await?;
        for (_, id) in &due {
            let Some(entity) = store.task(*id).await?.map(|view| view.origin.entity) else { continue };
            let snapshots = store.snapshots(&[entity]).await?;
            if !snapshots.iter().any(|snapshot| snapshot.live.iter().any(|task| task.answer_awaited)) {
                return Ok(false);
            }
        }
        if due.len() < PAGE {
            return Ok(true);
        }
        after = due.last().copied();
    }
}

async fn next_erasure(store: &dyn Store, lease: &Lease) -> Result<Option<Timestamp>, Error> {
    let due = store.due_erasures(Some(lease), Timestamp::MAX, 1).await?;
    let Some(entity) = due.first() else { return Ok(None) };
    // The entity itself comes first among those whose written form begins like its own.
    let filter = EntityFilter { prefix: Some(entity.to_string()), ..EntityFilter::default() };
    Ok(store.entities(&filter, PageRequest::first(1)).await?.items.first().and_then(|row| row.erase_at))
}
