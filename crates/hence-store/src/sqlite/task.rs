//! One task with all that is stored of it.

use hence_core::name::TaskId;

use super::connection::Connected;
use super::row;
use super::statement::{TASK_LIVE, TASK_ORIGIN, TASK_RECORDS, TASK_TIMELINE};
use crate::error::Error;
use crate::port::TaskView;

pub(super) fn task(connected: &mut Connected, id: TaskId) -> Result<Option<TaskView>, Error> {
    let Some(origin) = connected.find(TASK_ORIGIN, [id.0], row::origin)? else { return Ok(None) };
    let timeline = match origin.timeline {
        Some(timeline) => connected.find(TASK_TIMELINE, [timeline.0], row::timeline)?,
        None => None,
    };
    Ok(Some(TaskView {
        live: connected.find(TASK_LIVE, [id.0], row::task)?,
        records: connected.all(TASK_RECORDS, [id.0], row::history)?,
        timeline,
        origin,
    }))
}
