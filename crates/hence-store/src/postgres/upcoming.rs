//! The list of upcoming tasks: always led by an index, whatever is filtered by.
//!
//! | filter | index | the rest is looked at row by row |
//! |---|---|---|
//! | entity | `live_entity` (entity, due_at) | an entity has few tasks |
//! | states without `scheduled` | `live_wake`: its parked part, and of the rest what has waked | few tasks run, wait for an answer or are held |
//! | all others | `live_step` (step, due_at), a page of each step that fits timeline, step and type | nothing but states |

use hence_core::name::Name;
use hence_core::task::Task;
use tokio_postgres::types::ToSql;

use super::connection::Connected;
use super::failure::Stop;
use super::row::{self, column};
use super::statement::{Statement, UPCOMING_OF_ENTITY, UPCOMING_OF_STATE, UPCOMING_OF_STEP, UPCOMING_STEPS};
use crate::codes::{SCHEDULED, state_codes};
use crate::error::Error;
use crate::format::micros;
use crate::limits::{page, read_task_cursor, task_cursor};
use crate::port::{Page, PageRequest, UpcomingFilter};

/// The part of a statement that all lists share.
struct Narrowed {
    after: (i64, i64),
    due_until: i64,
    states: i64,
    steps: Option<Vec<i64>>,
    limit: i64,
}

pub(super) async fn upcoming(connected: &Connected, filter: &UpcomingFilter, request: &PageRequest) -> Result<Page<Task>, Stop> {
    let from = filter.due_from.map_or((i64::MIN, i64::MIN), |from| (micros(from).saturating_sub(1), i64::MAX));
    let after = request.after.as_ref().map(read_task_cursor).transpose()?.unwrap_or(from);
    let states: Vec<i64> = state_codes(&filter.states);
    let is_of_kind = filter.entity_kind.as_ref().is_none_or(|kind| filter.entity.as_ref().is_none_or(|of| of.kind() == kind));
    let steps = steps(connected, filter.timeline.as_ref(), filter.entity_kind.as_ref(), filter.step.as_ref()).await?;
    let has_steps = filter.timeline.is_some() || filter.step.is_some() || filter.entity_kind.is_some();
    let narrowed = Narrowed {
        after: after.max(from),
        due_until: filter.due_until.map_or(i64::MAX, micros),
        states: states.iter().fold(0, |bits, code| bits | 1 << code),
        steps: has_steps.then(|| steps.clone()),
        limit: request.limit as i64 + 1,
    };
    let found = if let Some(entity) = &filter.entity {
        match is_of_kind {
            true => list(connected, &UPCOMING_OF_ENTITY, &entity.to_string(), &narrowed).await?,
            false => Vec::new(),
        }
    } else if !states.contains(&SCHEDULED) {
        list(connected, &UPCOMING_OF_STATE, &None::<i64>, &narrowed).await?
    } else {
        let narrowed = Narrowed { steps: None, ..narrowed };
        list(connected, &UPCOMING_OF_STEP, &steps, &narrowed).await?
    };
    Ok(page(found, request, |task| task_cursor(micros(task.due_at), task.id)))
}

async fn list(
    connected: &Connected,
    statement: &Statement,
    of: &(dyn ToSql + Sync),
    narrowed: &Narrowed,
) -> Result<Vec<Task>, Stop> {
    let Narrowed { after, due_until, states, steps, limit } = narrowed;
    let rows = connected.rows(statement, &[of, &after.0, &after.1, due_until, states, steps, limit]).await?;
    Ok(rows.iter().map(row::task).collect::<Result<_, Error>>()?)
}

/// The numbers of the steps that fit. Ad-hoc tasks have none of their own: they fit when neither timeline nor step is asked for.
pub(super) async fn steps(
    connected: &Connected,
    timeline: Option<&Name>,
    kind: Option<&Name>,
    step: Option<&Name>,
) -> Result<Vec<i64>, Stop> {
    let params = (timeline.map(Name::as_str), kind.map(Name::as_str), step.map(Name::as_str));
    let rows = connected.rows(&UPCOMING_STEPS, &[&params.0, &params.1, &params.2]).await?;
    Ok(rows.iter().map(|row| column(row, 0)).collect::<Result<_, Error>>()?)
}
