//! One task with all that is stored of it, at one instant.

use hence_core::name::TaskId;

use super::connection::Connected;
use super::failure::Stop;
use super::row;
use super::statement::{TASK_LIVE, TASK_ORIGIN, TASK_RECORDS, TASK_TIMELINE};
use crate::error::Error;
use crate::port::TaskView;

pub(super) async fn task(connected: &Connected, id: TaskId) -> Result<Option<TaskView>, Stop> {
    let id: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&id.0];
    let (origin, timeline, live, records) = futures::join!(
        connected.first(&TASK_ORIGIN, &id),
        connected.first(&TASK_TIMELINE, &id),
        connected.first(&TASK_LIVE, &id),
        connected.rows(&TASK_RECORDS, &id),
    );
    let Some(origin) = origin?.as_ref().map(row::origin).transpose()? else { return Ok(None) };
    Ok(Some(TaskView {
        live: live?.as_ref().map(row::task).transpose()?,
        records: records?.iter().map(row::history).collect::<Result<_, Error>>()?,
        timeline: timeline?.as_ref().map(row::timeline).transpose()?,
        origin,
    }))
}
