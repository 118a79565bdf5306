//! The list of records: led by the narrowest index that fits.
//!
//! | filter | index |
//! |---|---|
//! | task | `history_entity`, for a task is of one entity |
//! | entity | `history_entity` |
//! | kinds that are all rarer ones | `history_kind`, one list for each kind |
//! | timeline or step | `history_step`, one list for each step that fits |
//! | none, or kinds that most records are of | the primary key |
//!
//! Records are numbered in the order of writing, within an entity and by one writer; between writers at the same moment the order is that of
//! numbering. A range of time leaves out the parts of the table that hold nothing of it.

use std::collections::BTreeSet;

use hence_core::history::RecordKind;
use tokio_postgres::types::ToSql;

use super::connection::Connected;
use super::failure::Stop;
use super::row::{self, small};
use super::statement::{
    HISTORY_ALL, HISTORY_OF_ENTITY, HISTORY_OF_KIND, HISTORY_OF_STEP, HISTORY_OF_TASK, Statement, newest_first,
};
use super::upcoming::steps;
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
    steps: Option<Vec<i64>>,
    entity: Option<String>,
    limit: i64,
    from: i64,
    until: i64,
    order: HistoryOrder,
}

pub(super) async fn history(
    connected: &Connected,
    filter: &HistoryFilter,
    request: &PageRequest,
) -> Result<Page<HistoryRow>, Stop> {
    let kinds: BTreeSet<i64> = match filter.kinds.is_empty() {
        true => RecordKind::ALL.into_iter().map(kind_code).collect(),
        false => filter.kinds.iter().copied().map(kind_code).collect(),
    };
    let has_steps = filter.timeline.is_some() || filter.step.is_some();
    let steps = match has_steps {
        true => steps(connected, filter.timeline.as_ref(), None, filter.step.as_ref()).await?,
        false => Vec::new(),
    };
    let (first, last) = range(filter, request)?;
    let narrowed = Narrowed {
        first,
        last,
        kinds: kinds.iter().fold(0, |bits, code| bits | 1 << code),
        steps: has_steps.then(|| steps.clone()),
        entity: filter.entity.as_ref().map(ToString::to_string),
        limit: request.limit as i64 + 1,
        from: filter.from.map_or(i64::MIN, micros),
        until: filter.until.map_or(i64::MAX, micros),
        order: filter.order,
    };
    let mut found = Vec::new();
    if let Some(task) = filter.task {
        found = list(connected, &HISTORY_OF_TASK, &task.0, &narrowed).await?;
    } else if let Some(entity) = &narrowed.entity {
        found = list(connected, &HISTORY_OF_ENTITY, entity, &narrowed).await?;
    } else if kinds.iter().all(|kind| *kind >= FIRST_INDEXED_KIND) {
        for kind in kinds {
            found.extend(list(connected, &HISTORY_OF_KIND, &small(kind), &narrowed).await?);
        }
    } else if has_steps {
        for step in steps {
            found.extend(list(connected, &HISTORY_OF_STEP, &step, &narrowed).await?);
        }
    } else {
        found = list(connected, &HISTORY_ALL, &None::<i64>, &narrowed).await?;
    }
    found.sort_by_key(|row| row.seq);
    if filter.order == HistoryOrder::NewestFirst {
        found.reverse();
    }
    found.truncate(request.limit + 1);
    Ok(page(found, request, |row| Cursor(row.seq.to_string())))
}

async fn list(
    connected: &Connected,
    statement: &'static Statement,
    of: &(dyn ToSql + Sync),
    narrowed: &Narrowed,
) -> Result<Vec<HistoryRow>, Stop> {
    let Narrowed { first, last, kinds, steps, entity, limit, from, until, order } = narrowed;
    let statement = match order {
        HistoryOrder::OldestFirst => statement,
        HistoryOrder::NewestFirst => newest_first(statement),
    };
    let rows = connected.rows(statement, &[of, first, last, kinds, steps, entity, limit, from, until]).await?;
    Ok(rows.iter().map(row::history).collect::<Result<_, Error>>()?)
}

/// The first and the last number that a page may show.
fn range(filter: &HistoryFilter, request: &PageRequest) -> Result<(i64, i64), Error> {
    let (mut first, mut last) = (i64::MIN, i64::MAX);
    if let Some(cursor) = &request.after {
        let seq = read_seq_cursor(cursor)?;
        match filter.order {
            HistoryOrder::OldestFirst => first = seq.saturating_add(1),
            HistoryOrder::NewestFirst => last = seq.saturating_sub(1),
        }
    }
    Ok((first, last))
}
