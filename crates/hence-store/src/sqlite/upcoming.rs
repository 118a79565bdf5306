//! The list of upcoming tasks: always led by an index, whatever is filtered by.
//!
//! | filter | index | the rest is looked at row by row |
//! |---|---|---|
//! | entity | `hence_live_entity` (entity, due_at) | an entity has few tasks |
//! | states without `scheduled` | `hence_live_owned` (state, due_at), one list for each state | few tasks run, wait for an answer or are held |
//! | all others | `hence_live_step` (step, due_at), one list for each step that fits timeline, step and type | nothing but states |
//!
//! The lists of several states or steps are merged; each gives at most one page.

use hence_core::name::Name;
use hence_core::task::Task;

use super::connection::Connected;
use super::row;
use super::statement::{UPCOMING_OF_ENTITY, UPCOMING_OF_STATE, UPCOMING_OF_STEP, UPCOMING_STEPS};
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
    steps: Option<String>,
    limit: i64,
}

pub(super) fn upcoming(connected: &mut Connected, filter: &UpcomingFilter, request: &PageRequest) -> Result<Page<Task>, Error> {
    let from = filter.due_from.map_or((i64::MIN, i64::MIN), |from| (micros(from) - 1, i64::MAX));
    let after = request.after.as_ref().map(read_task_cursor).transpose()?.unwrap_or(from);
    let states: Vec<i64> = state_codes(&filter.states);
    let is_of_kind = filter.entity_kind.as_ref().is_none_or(|kind| filter.entity.as_ref().is_none_or(|of| of.kind() == kind));
    let steps = steps(connected, filter.timeline.as_ref(), filter.entity_kind.as_ref(), filter.step.as_ref())?;
    let has_steps = filter.timeline.is_some() || filter.step.is_some();
    let narrowed = Narrowed {
        after: after.max(from),
        due_until: filter.due_until.map_or(i64::MAX, micros),
        states: states.iter().fold(0, |bits, code| bits | 1 << code),
        steps: (has_steps || filter.entity_kind.is_some()).then(|| json_list(&steps)),
        limit: request.limit as i64 + 1,
    };
    let mut found = Vec::new();
    if let Some(entity) = &filter.entity {
        if is_of_kind {
            found = list(connected, UPCOMING_OF_ENTITY, &entity.to_string(), &narrowed)?;
        }
    } else if !states.contains(&SCHEDULED) {
        for state in states {
            found.extend(list(connected, UPCOMING_OF_STATE, &state, &narrowed)?);
        }
    } else {
        let narrowed = Narrowed { steps: None, ..narrowed };
        for step in steps {
            found.extend(list(connected, UPCOMING_OF_STEP, &step, &narrowed)?);
        }
    }
    found.sort_by_key(|task| (task.due_at, task.id));
    found.truncate(request.limit + 1);
    Ok(page(found, request, |task| task_cursor(micros(task.due_at), task.id)))
}

fn list(connected: &Connected, sql: &str, of: &dyn rusqlite::ToSql, narrowed: &Narrowed) -> Result<Vec<Task>, Error> {
    let Narrowed { after, due_until, states, steps, limit } = narrowed;
    let params: [&dyn rusqlite::ToSql; 7] = [of, &after.0, &after.1, due_until, states, steps, limit];
    connected.all(sql, params, row::task)
}

/// The numbers of the steps that fit. Ad-hoc tasks have none of their own: they fit when neither timeline nor step is asked for.
pub(super) fn steps(
    connected: &Connected,
    timeline: Option<&Name>,
    kind: Option<&Name>,
    step: Option<&Name>,
) -> Result<Vec<i64>, Error> {
    let params = (timeline.map(Name::as_str), kind.map(Name::as_str), step.map(Name::as_str));
    connected.all(UPCOMING_STEPS, params, |row| row::column(row, 0))
}

/// A JSON list of numbers, as `json_each` reads it.
pub(super) fn json_list(numbers: &[i64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
    format!("[{}]", numbers.join(","))
}
