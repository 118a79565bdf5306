//! Rows to values and back: the column lists that several statements share.
//!
//! Everything read is checked as what was written could have been; what does not fit is `Corrupt`, never a panic.

use hence_core::history::Record;
use hence_core::name::{DefinitionHash, EntityKey, Fence, Name, TaskId, TimelineId, WishId};
use hence_core::task::Task;
use hence_core::timeline::{Timeline, TimelineStatus};
use hence_core::wish::{StoredWish, read_wish};
use rusqlite::Row;
use rusqlite::types::FromSql;

use super::failure;
use crate::codes::{ANSWER_AWAITED, POSSIBLE_DUPLICATE, is_cancel_asked, kind_of, state_of};
use crate::error::Error;
use crate::format::{corrupt, instant, read_given, read_json, read_name, read_reason};
use crate::port::{HistoryRow, InboxEntry, StoredDefinition, TaskOrigin};

/// The value of a column.
pub(super) fn column<T: FromSql>(row: &Row<'_>, index: usize) -> Result<T, Error> {
    row.get(index).map_err(|error| failure(error, "a stored value cannot be read"))
}

fn text<'r>(row: &'r Row<'_>, index: usize) -> Result<&'r str, Error> {
    let value = row.get_ref(index).map_err(|error| failure(error, "a stored value cannot be read"))?;
    value.as_str().map_err(|error| corrupt("a stored text cannot be read").caused_by(error))
}

/// The entity of its written form.
pub(super) fn entity_of(text: &str) -> Result<EntityKey, Error> {
    text.parse().map_err(|error| corrupt("a stored entity is wrong").caused_by(error))
}

fn count(value: i64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|error| corrupt("a stored count is out of range").caused_by(error))
}

/// An instant that may be absent.
pub(super) fn maybe_instant(row: &Row<'_>, index: usize) -> Result<Option<jiff::Timestamp>, Error> {
    column::<Option<i64>>(row, index)?.map(instant).transpose()
}

fn action(row: &Row<'_>, index: usize) -> Result<Option<serde_json::Value>, Error> {
    column::<Option<String>>(row, index)?.map(|action| read_json(&action)).transpose()
}

/// A task of a row that begins `l.id, b.timeline, e.key, step, b.occurrence, l.due_at, …`, as in `task/live.sql`.
pub(super) fn task(row: &Row<'_>) -> Result<Task, Error> {
    let state: i64 = column(row, 7)?;
    let flags: i64 = column(row, 12)?;
    Ok(Task {
        id: TaskId(column(row, 0)?),
        timeline: column::<Option<i64>>(row, 1)?.map(TimelineId),
        entity: entity_of(text(row, 2)?)?,
        step: read_name(text(row, 3)?)?,
        occurrence: column(row, 4)?,
        due_at: instant(column(row, 5)?)?,
        wake_at: instant(column(row, 6)?)?,
        state: state_of(state)?,
        fence: Fence(column(row, 8)?),
        started_at: maybe_instant(row, 9)?,
        attempt: count(column(row, 10)?)?,
        takeovers: count(column(row, 11)?)?,
        possible_duplicate: flags & POSSIBLE_DUPLICATE != 0,
        cancel_asked: is_cancel_asked(flags),
        answer_awaited: state == ANSWER_AWAITED,
        created_at: instant(column(row, 13)?)?,
        reason: read_reason(text(row, 14)?)?,
        action: action(row, 15)?,
    })
}

/// A record of a row as in `task/records.sql`.
pub(super) fn history(row: &Row<'_>) -> Result<HistoryRow, Error> {
    let step: Option<String> = column(row, 7)?;
    let timeline_name: Option<String> = column(row, 15)?;
    let record = Record {
        at: instant(column(row, 2)?)?,
        kind: kind_of(column(row, 3)?)?,
        entity: entity_of(text(row, 4)?)?,
        timeline: column::<Option<i64>>(row, 5)?.map(TimelineId),
        task: column::<Option<i64>>(row, 6)?.map(TaskId),
        step: name_if_any(step)?,
        occurrence: column(row, 8)?,
        due_at: maybe_instant(row, 9)?,
        started_at: maybe_instant(row, 10)?,
        fence: Fence(column(row, 11)?),
        attempt: count(column(row, 12)?)?,
        outcome: column(row, 13)?,
        reason: read_reason(text(row, 14)?)?,
    };
    Ok(HistoryRow {
        seq: column(row, 0)?,
        written_at: instant(column(row, 1)?)?,
        record,
        timeline_name: name_if_any(timeline_name)?,
    })
}

/// The name, unless it is empty: the step table says "none" so.
pub(super) fn name_if_any(text: Option<String>) -> Result<Option<Name>, Error> {
    text.filter(|text| !text.is_empty()).map(|text| read_name(&text)).transpose()
}

/// A timeline of a row as in `task/timeline.sql`.
pub(super) fn timeline(row: &Row<'_>) -> Result<Timeline, Error> {
    Ok(Timeline {
        id: TimelineId(column(row, 0)?),
        name: read_name(text(row, 1)?)?,
        definition: DefinitionHash(column(row, 2)?),
        entity: entity_of(text(row, 3)?)?,
        run: count(column(row, 4)?)?,
        status: match column::<i64>(row, 5)? {
            0 => TimelineStatus::Active,
            _ => TimelineStatus::Ended,
        },
        enrolled_at: instant(column(row, 6)?)?,
        given: read_given(text(row, 7)?)?,
        facts: read_json(text(row, 8)?)?,
    })
}

/// What a task was made with, of a row as in `task/origin.sql`.
pub(super) fn origin(row: &Row<'_>) -> Result<TaskOrigin, Error> {
    Ok(TaskOrigin {
        id: TaskId(column(row, 0)?),
        entity: entity_of(text(row, 1)?)?,
        timeline: column::<Option<i64>>(row, 2)?.map(TimelineId),
        step: read_name(text(row, 3)?)?,
        occurrence: column(row, 4)?,
        created_at: instant(column(row, 5)?)?,
        reason: read_reason(text(row, 6)?)?,
        action: action(row, 7)?,
    })
}

/// A wish of a row as in `inbox/list.sql`; one that cannot be read is no error, so that it never blocks the inbox.
pub(super) fn wish(row: &Row<'_>) -> Result<InboxEntry, Error> {
    let id = WishId(column(row, 0)?);
    let entity = entity_of(text(row, 1)?)?;
    let body = text(row, 4)?;
    let problem = match read_wish(body) {
        Ok(wish) if *wish.entity() == entity => {
            return Ok(InboxEntry::Wish(StoredWish { id, wish, at: instant(column(row, 2)?)?, actor: column(row, 3)? }));
        }
        Ok(_) => "the wish is about another entity than it was put for".to_owned(),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            format!("{error}{cause}")
        }
    };
    Ok(InboxEntry::Unreadable { id, entity, text: body.to_owned(), problem })
}

/// A definition of a row as in `definition/list.sql`.
pub(super) fn definition(row: &Row<'_>) -> Result<StoredDefinition, Error> {
    Ok(StoredDefinition {
        hash: DefinitionHash(column(row, 0)?),
        name: read_name(text(row, 1)?)?,
        source: column(row, 2)?,
        created_at: instant(column(row, 3)?)?,
        is_current: column(row, 4)?,
    })
}
