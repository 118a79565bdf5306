//! The schema: numbered migrations, applied in one transaction under a lock by name; a newer schema is refused before any write.

use super::connection::Connected;
use super::failure::Stop;
use super::row::column;
use super::statement::{IDENTITY_CREATE, MIGRATIONS, SCHEMA_BEGIN, SCHEMA_EXISTS, SCHEMA_FIND, SCHEMA_MAKE_SHARDS, SCHEMA_NOTE};
use crate::error::{Error, ErrorKind};
use crate::memory::new_store_id;

/// The schema that this program writes.
pub(super) const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

/// What is there before the first migration: the schema and the list of migrations. Nothing where they are there already.
const BEGINNING: &str = "create schema if not exists hence; \
    create table if not exists hence.migration (number bigint primary key, applied_at bigint not null)";

/// The number of the newest migration; `None` where there is no store.
/// # Errors
/// `NewerSchema`; `Corrupt` for a schema `hence` of another program; `Invalid` for a database that does not keep texts as UTF-8.
pub(super) async fn found(connected: &Connected) -> Result<Option<u32>, Stop> {
    let exists = connected.first(&SCHEMA_EXISTS, &[]).await?;
    let exists = exists.ok_or_else(|| Error::new(ErrorKind::Corrupt, "the database does not answer as it should"))?;
    match (column(&exists, 0)?, column(&exists, 1)?) {
        (true, _) => {}
        (false, false) => return Ok(None),
        (false, true) => {
            return Err(Error::new(ErrorKind::Corrupt, "the schema `hence` of the database is of another program").into());
        }
    }
    let found = connected.first(&SCHEMA_FIND, &[]).await?;
    let found = found.ok_or_else(|| Error::new(ErrorKind::Corrupt, "the database does not answer as it should"))?;
    let encoding: &str = column(&found, 1)?;
    if encoding != "UTF8" {
        let context = format!("the database keeps texts as {encoding}: a store needs one that keeps them as UTF8");
        return Err(Error::new(ErrorKind::Invalid, context).into());
    }
    let number = column::<Option<i64>>(&found, 0)?.unwrap_or_default();
    let number =
        u32::try_from(number).map_err(|error| Error::new(ErrorKind::Corrupt, "the schema has no number").caused_by(error))?;
    if number > SCHEMA_VERSION {
        let context = format!("the store has schema {number}, and this program knows {SCHEMA_VERSION}: use a newer program");
        return Err(Error::new(ErrorKind::NewerSchema { found: number, known: SCHEMA_VERSION }, context).into());
    }
    Ok(Some(number))
}

/// Brings the schema up to date, in the transaction of the call; makes a new store of that many shards where there is none. The
/// numbers of the migrations that were applied.
pub(super) async fn migrate(connected: &Connected, shards: u16) -> Result<Vec<u32>, Stop> {
    connected.rows(&SCHEMA_BEGIN, &[]).await?;
    // Looked at under the lock: another process may have been first.
    let before = found(connected).await?.unwrap_or_default();
    if before == SCHEMA_VERSION {
        return Ok(Vec::new());
    }
    connected.batch(BEGINNING).await?;
    let mut applied = Vec::new();
    for (number, migration) in (1..).zip(MIGRATIONS).skip(before as usize) {
        connected.batch(migration).await?;
        connected.run(&SCHEMA_NOTE, &[&i64::from(number)]).await?;
        applied.push(number);
    }
    if before == 0 {
        let count = i16::try_from(shards).map_err(|error| Error::new(ErrorKind::Invalid, "too many shards").caused_by(error))?;
        connected.run(&IDENTITY_CREATE, &[&new_store_id(), &count]).await?;
        connected.run(&SCHEMA_MAKE_SHARDS, &[&i64::from(shards)]).await?;
    }
    Ok(applied)
}
