//! Entities: their rows, made when they are first heard of, and their list.

use hence_core::answer::Problem;
use hence_core::name::EntityKey;
use jiff::Timestamp;
use rusqlite::Row;

use super::connection::Connected;
use super::row::{column, entity_of, maybe_instant};
use super::statement::{ENTITY_INSERT, ENTITY_LIST, ENTITY_POSTPONED};
use crate::error::Error;
use crate::format::{instant, micros};
use crate::limits::page;
use crate::port::{Cursor, EntityFilter, EntitySummary, Page, PageRequest, Postponed};
use crate::tallies::Tallies;

/// The number and the version of the entity, whose row is made if it is new.
pub(super) fn find_or_insert(
    connected: &mut Connected,
    entity: &EntityKey,
    now: Timestamp,
    tallies: &mut Tallies,
) -> Result<(i64, i64), Error> {
    if let Some(found) = connected.entity(entity)? {
        return Ok(found);
    }
    connected.run(ENTITY_INSERT, (entity.to_string(), micros(now)))?;
    tallies.add("entities", 1);
    Ok((connected.last_inserted(), 0))
}

pub(super) fn list(
    connected: &mut Connected,
    filter: &EntityFilter,
    request: &PageRequest,
) -> Result<Page<EntitySummary>, Error> {
    let prefix = filter.prefix.as_deref().unwrap_or_default();
    let prefix = filter.kind.as_ref().map_or_else(|| prefix.to_owned(), |kind| format!("{kind}/{prefix}"));
    // No text sorts behind this one: the highest character does not end any stored text, and control characters are not in any.
    let end = format!("{prefix}{}", char::MAX);
    let after = request.after.as_ref().map_or("", |cursor| cursor.0.as_str());
    let params = (after, &prefix, &end, request.limit as i64 + 1);
    let found = connected.all(if filter.is_postponed { ENTITY_POSTPONED } else { ENTITY_LIST }, params, |row| {
        Ok(EntitySummary {
            entity: entity_of(&column::<String>(row, 0)?)?,
            version: column(row, 1)?,
            next_due_at: maybe_instant(row, 2)?,
            erase_at: maybe_instant(row, 3)?,
            postponed: maybe_instant(row, 4)?.map(|since| postponed(row, since)).transpose()?,
        })
    })?;
    Ok(page(found, request, |summary| Cursor(summary.entity.to_string())))
}

fn postponed(row: &Row<'_>, since: Timestamp) -> Result<Postponed, Error> {
    Ok(Postponed {
        wishes: column::<u32>(row, 5)?.into(),
        since,
        tries: column(row, 6)?,
        try_at: instant(column(row, 7)?)?,
        problem: Problem { code: column(row, 8)?, message: column(row, 9)? },
    })
}
