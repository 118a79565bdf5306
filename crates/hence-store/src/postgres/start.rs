//! Starting: what is due soon, the start itself, and running tasks that nobody looks after any more.

use std::collections::HashSet;

use hence_core::name::{Fence, TaskId};
use hence_core::shard::Shard;
use hence_core::task::{Task, TaskState};
use jiff::Timestamp;

use super::connection::Connected;
use super::failure::Stop;
use super::row::{self, column};
use super::statement::{START_DUE_SOON, START_GOES_ON, START_ORPHANS, START_OVERDUE_ANSWERS, START_START};
use crate::codes::CANCEL_ASKED;
use crate::error::Error;
use crate::format::{corrupt, cut, instant, micros};
use crate::port::{Lease, StartRequest};

/// A lease in columns.
pub(super) struct Owned {
    pub(super) node: String,
    pub(super) shards: Vec<i16>,
    pub(super) epochs: Vec<i64>,
}

impl Owned {
    pub(super) fn of(lease: &Lease) -> Self {
        Self {
            node: row::escape(&lease.node),
            shards: lease.shards.iter().map(|owned| shard_number(owned.shard)).collect(),
            epochs: lease.shards.iter().map(|owned| owned.epoch.0).collect(),
        }
    }
}

/// The number of a shard as rows keep it; one that no store has for a number that is too high.
pub(super) fn shard_number(shard: Shard) -> i16 {
    i16::try_from(shard.0).unwrap_or(-1)
}

/// Behind which task, until when.
type Span = (Option<(Timestamp, TaskId)>, Timestamp);

pub(super) async fn due_soon(
    connected: &Connected,
    lease: &Owned,
    (after, until): Span,
    limit: usize,
) -> Result<Vec<(Timestamp, TaskId)>, Stop> {
    let (after_at, after_id) = after.map_or((i64::MIN, i64::MIN), |(at, id)| (micros(at), id.0));
    let Owned { node, shards, epochs } = lease;
    let rows =
        connected.rows(&START_DUE_SOON, &[node, shards, epochs, &after_at, &after_id, &micros(until), &(limit as i64)]).await?;
    let found = rows.iter().map(|row| Ok((instant(column(row, 0)?)?, TaskId(column(row, 1)?))));
    Ok(found.collect::<Result<_, Error>>()?)
}

/// One statement, one commit.
pub(super) async fn start(
    connected: &Connected,
    (lease, except): (&Owned, &Vec<String>),
    request: &StartRequest,
) -> Result<Vec<Task>, Stop> {
    let from = request.from.map_or(i64::MIN, micros);
    let to = micros(request.to.min(request.now));
    let now = micros(cut(request.now));
    let Owned { node, shards, epochs } = lease;
    let rows = connected.rows(&START_START, &[node, shards, epochs, &from, &to, &(request.limit as i64), &now, except]).await?;
    assert!(rows.len() <= request.limit, "a start takes no more tasks than were asked for");
    let started: Vec<Task> = rows.iter().map(row::task).collect::<Result<_, Error>>()?;
    if started.iter().any(|task| task.state != TaskState::Running) {
        return Err(corrupt("a started task does not run").into());
    }
    Ok(started)
}

pub(super) async fn attempts_to_stop(connected: &Connected, attempts: &[(TaskId, Fence)]) -> Result<Vec<TaskId>, Stop> {
    let (ids, fences): (Vec<i64>, Vec<i64>) = attempts.iter().map(|(id, fence)| (id.0, fence.0)).unzip();
    let mark = row::small(CANCEL_ASKED);
    let rows = connected.rows(&START_GOES_ON, &[&ids, &fences, &mark]).await?;
    let on: HashSet<i64> = rows.iter().map(|row| column(row, 0)).collect::<Result<_, Error>>()?;
    Ok(attempts.iter().map(|(id, _)| *id).filter(|id| !on.contains(&id.0)).collect())
}

pub(super) async fn orphans(connected: &Connected, lease: &Owned, limit: usize) -> Result<Vec<Task>, Stop> {
    let Owned { node, shards, epochs } = lease;
    let rows = connected.rows(&START_ORPHANS, &[node, shards, epochs, &(limit as i64)]).await?;
    Ok(rows.iter().map(row::task).collect::<Result<_, Error>>()?)
}

pub(super) async fn overdue_answers(
    connected: &Connected,
    lease: &Owned,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Task>, Stop> {
    let Owned { node, shards, epochs } = lease;
    let rows = connected.rows(&START_OVERDUE_ANSWERS, &[node, shards, epochs, &micros(now), &(limit as i64)]).await?;
    Ok(rows.iter().map(row::task).collect::<Result<_, Error>>()?)
}
