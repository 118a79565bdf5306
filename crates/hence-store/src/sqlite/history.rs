//! The list of records: led by the narrowest index that fits.
//!
//! | filter | index |
//! |---|---|
//! | task | `hence_history_task` |
//! | entity | `hence_history_entity` |
//! | kinds that are all rarer ones | `hence_history_kind`, one list for each kind |
//! | timeline or step | `hence_history_step`, one list for each step that fits |
//! | none, or kinds that most records are of | the primary key |
//!
//! Records are numbered in the order of writing and their instants never fall, so a range of time is a range of numbers: it is found
//! by halving.

use std::collections::BTreeSet;

use hence_core::history::RecordKind;
use jiff::Timestamp;

use super::connection::Connected;
use super::row::{self, column};
use super::statement::{
    HISTORY_ALL, HISTORY_BOUNDS, HISTORY_OF_ENTITY, HISTORY_OF_KIND, HISTORY_OF_STEP, HISTORY_OF_TASK, HISTORY_WRITTEN_AT,
};
use super::upcoming::{json_list, steps};
use crate::codes::{FIRST_INDEXED_KIND, kind_code};
use crate::error::Error;
use crate::format::micros;
use crate::limits::{page, read_seq_cursor};
use crate::port::{Cursor, HistoryFilter, HistoryOrder, HistoryRow, Page, PageRequest};

/// The part of a statement that all lists share.
struct Narrowed {
    first: i64,
    last: i64,
    kinds: i64,
    steps: Option<String>,
    entity: Option<String>,
    limit: i64,
    order: HistoryOrder,
}

pub(super) fn history(
    connected: &mut Connected,
    filter: &HistoryFilter,
    request: &PageRequest,
) -> Result<Page<HistoryRow>, Error> {
    let kinds: BTreeSet<i64> = match filter.kinds.is_empty() {
        true => RecordKind::ALL.into_iter().map(kind_code).collect(),
        false => filter.kinds.iter().copied().map(kind_code).collect(),
    };
    let has_steps = filter.timeline.is_some() || filter.step.is_some();
    let steps = if has_steps { steps(connected, filter.timeline.as_ref(), None, filter.step.as_ref())? } else { Vec::new() };
    let (first, last) = range(connected, filter, request)?;
    let narrowed = Narrowed {
        first,
        last,
        kinds: kinds.iter().fold(0, |bits, code| bits | 1 << code),
        steps: has_steps.then(|| json_list(&steps)),
        entity: filter.entity.as_ref().map(ToString::to_string),
        limit: request.limit as i64 + 1,
        order: filter.order,
    };
    let mut found = if let Some(task) = filter.task {
        list(connected, HISTORY_OF_TASK, &task.0, &narrowed)?
    } else if let Some(entity) = &narrowed.entity {
        list(connected, HISTORY_OF_ENTITY, entity, &narrowed)?
    } else if kinds.iter().all(|kind| *kind >= FIRST_INDEXED_KIND) {
        merged(connected, HISTORY_OF_KIND, kinds, &narrowed)?
    } else if has_steps {
        merged(connected, HISTORY_OF_STEP, steps, &narrowed)?
    } else {
        list(connected, HISTORY_ALL, &None::<i64>, &narrowed)?
    };
    found.sort_by_key(|row| row.seq);
    if filter.order == HistoryOrder::NewestFirst {
        found.reverse();
    }
    found.truncate(request.limit + 1);
    Ok(page(found, request, |row| Cursor(row.seq.to_string())))
}

fn merged(
    connected: &Connected,
    sql: &str,
    of: impl IntoIterator<Item = i64>,
    narrowed: &Narrowed,
) -> Result<Vec<HistoryRow>, Error> {
    let mut found = Vec::new();
    for one in of {
        found.extend(list(connected, sql, &one, narrowed)?);
    }
    Ok(found)
}

fn list(connected: &Connected, sql: &str, of: &dyn rusqlite::ToSql, narrowed: &Narrowed) -> Result<Vec<HistoryRow>, Error> {
    let Narrowed { first, last, kinds, steps, entity, limit, order } = narrowed;
    let params: [&dyn rusqlite::ToSql; 7] = [of, first, last, kinds, steps, entity, limit];
    match order {
        HistoryOrder::OldestFirst => connected.all(sql, params, row::history),
        HistoryOrder::NewestFirst => connected.all(&newest_first(sql), params, row::history),
    }
}

/// The statement in the other order.
fn newest_first(sql: &str) -> String {
    sql.replace("order by h.seq asc", "order by h.seq desc")
}

/// The first and the last number that a page may show.
fn range(connected: &Connected, filter: &HistoryFilter, request: &PageRequest) -> Result<(i64, i64), Error> {
    let mut first = filter.from.map_or(Ok(i64::MIN), |from| first_written(connected, from))?;
    let mut last = filter.until.map_or(Ok(i64::MAX), |until| Ok(first_written(connected, until)?.saturating_sub(1)))?;
    if let Some(cursor) = &request.after {
        let seq = read_seq_cursor(cursor)?;
        match filter.order {
            HistoryOrder::OldestFirst => first = first.max(seq.saturating_add(1)),
            HistoryOrder::NewestFirst => last = last.min(seq.saturating_sub(1)),
        }
    }
    Ok((first, last))
}

/// The number of the first record that was written at `at` or later; one behind the last if there is none.
fn first_written(connected: &Connected, at: Timestamp) -> Result<i64, Error> {
    let bounds =
        connected.find(HISTORY_BOUNDS, [], |row| Ok((column::<Option<i64>>(row, 0)?, column::<Option<i64>>(row, 1)?)))?;
    let Some((Some(mut low), Some(last))) = bounds else { return Ok(i64::MAX) };
    let mut high = last + 1;
    // Records below `low` are older; the record at `high`, and all behind it, are not.
    while low < high {
        let middle = low + (high - low) / 2;
        let found = connected.find(HISTORY_WRITTEN_AT, [middle], |row| Ok((column::<i64>(row, 0)?, column::<i64>(row, 1)?)))?;
        match found {
            Some((seq, written_at)) if written_at < micros(at) => low = seq + 1,
            _ => high = middle,
        }
    }
    Ok(high)
}
