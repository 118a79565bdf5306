//! Limits and cursors that all stores share: what a call may ask for, and where a page goes on.

use hence_core::name::TaskId;
use jiff::Timestamp;

use crate::error::{Error, ErrorKind};
use crate::format::micros;
use crate::port::{BATCH_MAX, Cursor, KEY_BYTES_MAX, NewWish, Page, PageRequest, StartRequest};

/// The most tasks that one start may ask for.
pub(crate) const START_MAX: usize = 1000;
/// How long an idempotency key is kept: 24 hours are promised, the rest is for clocks that differ.
pub(crate) const KEY_KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(25);
/// One hour in microseconds.
pub(crate) const HOUR: i64 = 3_600_000_000;

/// Refuses a number of rows that is zero or too high.
pub(crate) fn check_count(count: usize) -> Result<(), Error> {
    if (1..=BATCH_MAX).contains(&count) {
        return Ok(());
    }
    Err(invalid(format!("{count} rows cannot be asked for: 1 to {BATCH_MAX} can")))
}

/// Refuses a batch that is too long; an empty one is fine.
pub(crate) fn check_batch(count: usize) -> Result<(), Error> {
    if count <= BATCH_MAX { Ok(()) } else { check_count(count) }
}

/// Refuses a start of no or too many tasks.
pub(crate) fn check_start(request: &StartRequest) -> Result<(), Error> {
    if (1..=START_MAX).contains(&request.limit) {
        return Ok(());
    }
    Err(invalid(format!("{} tasks cannot be started at once: 1 to {START_MAX} can", request.limit)))
}

/// Refuses wishes whose keys are empty or too long.
pub(crate) fn check_wishes(wishes: &[NewWish]) -> Result<(), Error> {
    check_batch(wishes.len())?;
    for key in wishes.iter().filter_map(|wish| wish.key.as_ref()) {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(invalid(format!("an idempotency key has {} bytes: 1 to {KEY_BYTES_MAX} can be kept", key.len())));
        }
    }
    Ok(())
}

/// The hour of an instant, counted from 1970.
pub(crate) fn hour_of(at: Timestamp) -> i64 {
    micros(at).div_euclid(HOUR)
}

/// The cursor behind a task in a list by (instant, id).
pub(crate) fn task_cursor(at: i64, id: TaskId) -> Cursor {
    Cursor(format!("{at}:{}", id.0))
}

/// What [`task_cursor`] made.
pub(crate) fn read_task_cursor(cursor: &Cursor) -> Result<(i64, i64), Error> {
    let parts = cursor.0.split_once(':');
    parts.and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?))).ok_or_else(|| bad_cursor(cursor))
}

/// What was made of a record's number.
pub(crate) fn read_seq_cursor(cursor: &Cursor) -> Result<i64, Error> {
    cursor.0.parse().map_err(|_| bad_cursor(cursor))
}

/// Cuts one row more than a page holds down to the page; that row says that there is a next page.
pub(crate) fn page<T>(mut items: Vec<T>, request: &PageRequest, cursor: impl Fn(&T) -> Cursor) -> Page<T> {
    let has_next = items.len() > request.limit;
    items.truncate(request.limit);
    let next = if has_next { items.last().map(cursor) } else { None };
    Page { items, next }
}

/// Says that an argument is out of its limits.
pub(crate) fn invalid(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, context)
}

fn bad_cursor(cursor: &Cursor) -> Error {
    let shown: String = cursor.0.chars().take(40).filter(|c| !c.is_control()).collect();
    invalid(format!("`{shown}` is not where a page of this list ended"))
}

/// Steps as statements compare them: `timeline/step`; no name has a slash in it.
pub(crate) fn step_names(steps: &[(hence_core::name::Name, hence_core::name::Name)]) -> Vec<String> {
    steps.iter().map(|(timeline, step)| format!("{timeline}/{step}")).collect()
}
