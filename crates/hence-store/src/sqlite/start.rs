//! Starting: what is due soon, the start itself, and running tasks that nobody looks after any more.

use hence_core::name::{Fence, TaskId};
use hence_core::task::{Task, TaskEvent, TaskState};
use jiff::Timestamp;

use super::connection::Connected;
use super::counter;
use super::lease;
use super::row::{self, column};
use super::statement::{START_DUE_SOON, START_GOES_ON, START_ORPHANS, START_OVERDUE_ANSWERS, START_START, START_STARTABLE};
use crate::codes::CANCEL_ASKED;
use crate::error::Error;
use crate::format::{corrupt, cut, instant, micros};
use crate::port::{Lease, StartRequest};
use crate::tallies::Tallies;

/// Behind which task, until when.
type Span = (Option<(Timestamp, TaskId)>, Timestamp);

pub(super) fn due_soon(
    connected: &mut Connected,
    lease: &Lease,
    (after, until): Span,
    limit: usize,
) -> Result<Vec<(Timestamp, TaskId)>, Error> {
    if lease::epoch(connected, lease)?.is_none() {
        return Ok(Vec::new());
    }
    let (after_at, after_id) = after.map_or((i64::MIN, i64::MIN), |(at, id)| (micros(at), id.0));
    connected.all(START_DUE_SOON, (after_at, after_id, micros(until), limit as i64), |row| {
        Ok((instant(column(row, 0)?)?, TaskId(column(row, 1)?)))
    })
}

/// `except` is a JSON array of steps as `timeline/step`.
pub(super) fn start(
    connected: &mut Connected,
    (lease, except): (&Lease, &str),
    request: &StartRequest,
) -> Result<Vec<Task>, Error> {
    if lease::epoch(connected, lease)?.is_none() {
        return Ok(Vec::new());
    }
    let from = request.from.map_or(i64::MIN, micros);
    let to = micros(request.to.min(request.now));
    let due = connected.all(START_STARTABLE, (from, to, request.limit as i64, except), row::task)?;
    if due.is_empty() {
        return Ok(due);
    }
    assert!(due.len() <= request.limit, "a start takes no more tasks than were asked for");
    let now = cut(request.now);
    let last = connected.take_numbers("fence", due.len())?;
    let mut started = Vec::with_capacity(due.len());
    for (fence, task) in (last - due.len() as i64 + 1..).map(Fence).zip(due) {
        let transition = task.apply(TaskEvent::Start { fence }, now);
        let transition = transition.map_err(|error| corrupt("a due task cannot be started").caused_by(error))?;
        let changed = connected.run(START_START, (task.id.0, fence.0, micros(now)))?;
        // The row was read under the write lock, so nobody can have changed it since.
        assert!(changed == 1, "a task that was read as scheduled is started by this transaction");
        started.push(transition.task);
    }
    let mut tallies = Tallies::default();
    let count = started.len() as i64;
    tallies.add_state(TaskState::Scheduled, -count);
    tallies.add_state(TaskState::Running, count);
    counter::add(connected, tallies)?;
    Ok(started)
}

pub(super) fn attempts_to_stop(connected: &mut Connected, attempts: &[(TaskId, Fence)]) -> Result<Vec<TaskId>, Error> {
    let mut found = Vec::new();
    for (id, fence) in attempts {
        if connected.find(START_GOES_ON, (id.0, fence.0, CANCEL_ASKED), |_| Ok(()))?.is_none() {
            found.push(*id);
        }
    }
    Ok(found)
}

pub(super) fn orphans(connected: &mut Connected, lease: &Lease, limit: usize) -> Result<Vec<Task>, Error> {
    match lease::epoch(connected, lease)? {
        Some(epoch) => connected.all(START_ORPHANS, (epoch.0, limit as i64), row::task),
        None => Ok(Vec::new()),
    }
}

pub(super) fn overdue_answers(
    connected: &mut Connected,
    lease: &Lease,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Task>, Error> {
    if lease::epoch(connected, lease)?.is_none() {
        return Ok(Vec::new());
    }
    connected.all(START_OVERDUE_ANSWERS, (micros(now), limit as i64), row::task)
}
