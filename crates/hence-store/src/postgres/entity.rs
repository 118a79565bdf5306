//! Entities: their rows, made when they are first heard of, and their list.

use std::collections::BTreeMap;

use hence_core::answer::Problem;
use hence_core::name::EntityKey;
use hence_core::shard::Shard;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::connection::Connected;
use super::failure::Stop;
use super::row::{column, entity_of, maybe_instant, unescape};
use super::statement::{ENTITY_HOLD, ENTITY_INSERT, ENTITY_LIST, ENTITY_POSTPONED};
use crate::error::{Error, ErrorKind};
use crate::format::{instant, micros};
use crate::limits::page;
use crate::port::{Cursor, EntityFilter, EntitySummary, Page, PageRequest, Postponed};

/// The numbers of the entities by their written forms; rows are made for those that are new, and held so that none is forgotten meanwhile.
pub(super) async fn find_or_insert(
    connected: &Connected,
    shards: u16,
    keys: &[&EntityKey],
    now: Timestamp,
) -> Result<BTreeMap<String, i64>, Stop> {
    let texts: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let mut found = BTreeMap::new();
    if keys.is_empty() {
        return Ok(found);
    }
    for row in connected.rows(&ENTITY_HOLD, &[&texts]).await? {
        found.insert(column(&row, 0)?, column(&row, 1)?);
    }
    let missing: Vec<&EntityKey> =
        keys.iter().zip(&texts).filter(|(_, text)| !found.contains_key(*text)).map(|(key, _)| *key).collect();
    if !missing.is_empty() {
        found.extend(insert(connected, shards, &missing, now).await?);
    }
    Ok(found)
}

/// The numbers of entities whose rows are made.
/// # Errors
/// [`Stop::Again`]: one of them was made by somebody else meanwhile.
pub(super) async fn insert(
    connected: &Connected,
    shards: u16,
    keys: &[&EntityKey],
    now: Timestamp,
) -> Result<BTreeMap<String, i64>, Stop> {
    let texts: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let of: Vec<i16> = keys.iter().map(|key| shard_of(key, shards)).collect();
    let mut made = BTreeMap::new();
    for row in connected.rows(&ENTITY_INSERT, &[&texts, &of, &micros(now)]).await? {
        made.insert(column(&row, 0)?, column(&row, 1)?);
    }
    if made.len() < keys.len() {
        return Err(Stop::Again(Error::new(ErrorKind::Busy, "an entity was made by somebody else at the same time")));
    }
    Ok(made)
}

/// The shard of an entity, as its rows keep it.
pub(super) fn shard_of(key: &EntityKey, shards: u16) -> i16 {
    i16::try_from(Shard::of(key, shards).0).expect("a store has at most 4096 shards")
}

pub(super) async fn list(
    connected: &Connected,
    filter: &EntityFilter,
    request: &PageRequest,
) -> Result<Page<EntitySummary>, Stop> {
    let prefix = filter.prefix.as_deref().unwrap_or_default();
    // No stored entity holds a control character, and PostgreSQL takes no text with the first of them.
    if prefix.contains('\0') {
        return Ok(Page { items: Vec::new(), next: None });
    }
    let prefix = filter.kind.as_ref().map_or_else(|| prefix.to_owned(), |kind| format!("{kind}/{prefix}"));
    // No text sorts behind this one: the highest character does not end any stored text.
    let end = format!("{prefix}{}", char::MAX);
    let after = request.after.as_ref().map_or("", |cursor| cursor.0.as_str()).replace('\0', "");
    let statement = if filter.is_postponed { &ENTITY_POSTPONED } else { &ENTITY_LIST };
    let rows = connected.rows(statement, &[&after, &prefix, &end, &(request.limit as i64 + 1)]).await?;
    let found = rows.iter().map(|row| {
        Ok(EntitySummary {
            entity: entity_of(column(row, 0)?)?,
            version: column(row, 1)?,
            next_due_at: maybe_instant(row, 2)?,
            erase_at: maybe_instant(row, 3)?,
            postponed: maybe_instant(row, 4)?.map(|since| postponed(row, since)).transpose()?,
        })
    });
    let found: Vec<EntitySummary> = found.collect::<Result<_, Error>>()?;
    Ok(page(found, request, |summary| Cursor(summary.entity.to_string())))
}

fn postponed(row: &Row, since: Timestamp) -> Result<Postponed, Error> {
    let text = |index| column::<&str>(row, index).map(unescape);
    Ok(Postponed {
        wishes: column::<i64>(row, 5)?.unsigned_abs(),
        since,
        tries: u32::try_from(column::<i64>(row, 6)?).unwrap_or(u32::MAX),
        try_at: instant(column(row, 7)?)?,
        problem: Problem { code: text(8)?, message: text(9)? },
    })
}
