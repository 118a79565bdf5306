//! Rows to values and back. Everything read is checked as what was written could have been; what does not fit is `Corrupt`, never a panic.

use hence_core::history::Record;
use hence_core::name::{DefinitionHash, EntityKey, Fence, Name, TaskId, TimelineId, WishId};
use hence_core::task::Task;
use hence_core::timeline::{Timeline, TimelineStatus};
use hence_core::wish::{StoredWish, read_wish};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::failure::unreadable;
use crate::codes::{ANSWER_AWAITED, POSSIBLE_DUPLICATE, is_cancel_asked, kind_of, state_of};
use crate::error::Error;
use crate::format::{corrupt, instant, read_given, read_json, read_name, read_reason};
use crate::port::{HistoryRow, InboxEntry, StoredDefinition, TaskOrigin};

/// Begins a pair of characters that stands for one which a text of PostgreSQL cannot hold, or for itself (F47).
const ESCAPE: char = '\u{1}';

/// A text as PostgreSQL can keep it: `U+0000` is written as two characters.
pub(super) fn escape(text: &str) -> String {
    if !text.contains(['\0', ESCAPE]) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len() + 8), |mut escaped, char| {
        match char {
            '\0' => escaped.extend([ESCAPE, '0']),
            ESCAPE => escaped.extend([ESCAPE, '1']),
            other => escaped.push(other),
        }
        escaped
    })
}

/// What [`escape`] was given.
pub(super) fn unescape(text: &str) -> String {
    let mut chars = text.chars();
    let mut unescaped = String::with_capacity(text.len());
    while let Some(char) = chars.next() {
        match (char, char == ESCAPE) {
            (_, true) => unescaped.push(if chars.next() == Some('0') { '\0' } else { ESCAPE }),
            (other, false) => unescaped.push(other),
        }
    }
    unescaped
}

/// A code as a column of two bytes keeps it.
pub(super) fn small(code: i64) -> i16 {
    i16::try_from(code).expect("codes are small numbers")
}

/// The value of a column.
pub(super) fn column<'r, T: FromSql<'r>>(row: &'r Row, index: usize) -> Result<T, Error> {
    row.try_get(index).map_err(unreadable)
}

/// A number of two bytes.
pub(super) fn code(row: &Row, index: usize) -> Result<i64, Error> {
    column::<i16>(row, index).map(i64::from)
}

/// The entity of its written form.
pub(super) fn entity_of(text: &str) -> Result<EntityKey, Error> {
    text.parse().map_err(|error| corrupt("a stored entity is wrong").caused_by(error))
}

fn count(value: i64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|error| corrupt("a stored count is out of range").caused_by(error))
}

/// An instant that may be absent.
pub(super) fn maybe_instant(row: &Row, index: usize) -> Result<Option<jiff::Timestamp>, Error> {
    column::<Option<i64>>(row, index)?.map(instant).transpose()
}

fn action(row: &Row, index: usize) -> Result<Option<serde_json::Value>, Error> {
    column::<Option<&str>>(row, index)?.map(read_json).transpose()
}

/// A task of a row that begins `l.id, b.timeline, e.key, step, b.occurrence, l.due_at, …`, as in `task/live.sql`.
pub(super) fn task(row: &Row) -> Result<Task, Error> {
    let state = code(row, 7)?;
    let flags = code(row, 12)?;
    Ok(Task {
        id: TaskId(column(row, 0)?),
        timeline: column::<Option<i64>>(row, 1)?.map(TimelineId),
        entity: entity_of(column(row, 2)?)?,
        step: read_name(column(row, 3)?)?,
        occurrence: unescape(column(row, 4)?),
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
        reason: read_reason(column(row, 14)?)?,
        action: action(row, 15)?,
    })
}

/// A record of a row as in `task/records.sql`.
pub(super) fn history(row: &Row) -> Result<HistoryRow, Error> {
    let record = Record {
        at: instant(column(row, 2)?)?,
        kind: kind_of(code(row, 3)?)?,
        entity: entity_of(column(row, 4)?)?,
        timeline: column::<Option<i64>>(row, 5)?.map(TimelineId),
        task: column::<Option<i64>>(row, 6)?.map(TaskId),
        step: name_if_any(column(row, 7)?)?,
        occurrence: unescape(column(row, 8)?),
        due_at: maybe_instant(row, 9)?,
        started_at: maybe_instant(row, 10)?,
        fence: Fence(column(row, 11)?),
        attempt: count(column(row, 12)?)?,
        outcome: column::<Option<&str>>(row, 13)?.map(unescape),
        reason: read_reason(column(row, 14)?)?,
    };
    Ok(HistoryRow {
        seq: column(row, 0)?,
        written_at: instant(column(row, 1)?)?,
        record,
        timeline_name: name_if_any(column(row, 15)?)?,
    })
}

/// The name, unless it is empty: the step table says "none" so.
pub(super) fn name_if_any(text: Option<&str>) -> Result<Option<Name>, Error> {
    text.filter(|text| !text.is_empty()).map(read_name).transpose()
}

/// A timeline of a row as in `task/timeline.sql`.
pub(super) fn timeline(row: &Row) -> Result<Timeline, Error> {
    Ok(Timeline {
        id: TimelineId(column(row, 0)?),
        name: read_name(column(row, 1)?)?,
        definition: DefinitionHash(column(row, 2)?),
        entity: entity_of(column(row, 3)?)?,
        run: count(column(row, 4)?)?,
        status: match code(row, 5)? {
            0 => TimelineStatus::Active,
            _ => TimelineStatus::Ended,
        },
        enrolled_at: instant(column(row, 6)?)?,
        given: read_given(column(row, 7)?)?,
        facts: read_json(column(row, 8)?)?,
    })
}

/// What a task was made with, of a row as in `task/origin.sql`.
pub(super) fn origin(row: &Row) -> Result<TaskOrigin, Error> {
    Ok(TaskOrigin {
        id: TaskId(column(row, 0)?),
        entity: entity_of(column(row, 1)?)?,
        timeline: column::<Option<i64>>(row, 2)?.map(TimelineId),
        step: read_name(column(row, 3)?)?,
        occurrence: unescape(column(row, 4)?),
        created_at: instant(column(row, 5)?)?,
        reason: read_reason(column(row, 6)?)?,
        action: action(row, 7)?,
    })
}

/// A wish of a row as in `inbox/list.sql`; one that cannot be read is no error, so that it never blocks the inbox.
pub(super) fn wish(row: &Row) -> Result<InboxEntry, Error> {
    let id = WishId(column(row, 0)?);
    let entity = entity_of(column(row, 1)?)?;
    let body: &str = column(row, 4)?;
    let problem = match read_wish(body) {
        Ok(wish) if *wish.entity() == entity => {
            let at = instant(column(row, 2)?)?;
            return Ok(InboxEntry::Wish(StoredWish { id, wish, at, actor: unescape(column(row, 3)?) }));
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
pub(super) fn definition(row: &Row) -> Result<StoredDefinition, Error> {
    Ok(StoredDefinition {
        hash: DefinitionHash(column(row, 0)?),
        name: read_name(column(row, 1)?)?,
        source: unescape(column(row, 2)?),
        created_at: instant(column(row, 3)?)?,
        is_current: column(row, 4)?,
    })
}

#[cfg(test)]
mod tests {
    //! Goal: every text of Rust can be kept and comes back. Method: odd texts there and back, and that no NUL is left.
    use super::*;

    #[test]
    fn every_text_can_be_kept_and_comes_back() {
        for text in ["", "a", "\0", "\u{1}", "\u{1}0", "\0\u{1}1\0", "a\0b\u{1}", "é\0\u{10ffff}"] {
            let kept = escape(text);
            assert!(!kept.contains('\0'), "{text:?}");
            assert_eq!(unescape(&kept), text);
        }
        assert_eq!(escape("plain"), "plain");
    }
}
