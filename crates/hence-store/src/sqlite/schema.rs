//! The schema: numbered migrations, applied under the write lock; a newer schema or a foreign file is refused before any write.

use rusqlite::TransactionBehavior;

use super::connection::Connected;
use super::statement::{IDENTITY_CREATE, MIGRATIONS};
use super::{OpenMode, failure};
use crate::error::{Error, ErrorKind};
use crate::memory::new_store_id;

/// Marks the file as a store of Hence: `HNCE`.
const APPLICATION_ID: i64 = 0x484e_4345;
/// The schema that this program writes.
pub(super) const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

/// Brings the file to the newest schema; makes a new store of an empty one. Running it again changes nothing.
pub(super) fn migrate(connected: &mut Connected, mode: OpenMode) -> Result<(), Error> {
    if check(connected)? == SCHEMA_VERSION {
        return Ok(());
    }
    if mode == OpenMode::Existing && check(connected)? == 0 {
        return Err(Error::new(ErrorKind::Missing, "the file is empty: there is no store in it"));
    }
    use_log(connected)?;
    let transaction = connected
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| failure(error, "the schema of the store cannot be changed"))?;
    let done = || -> rusqlite::Result<()> {
        // Read again: another process may have been first while this one waited for the lock.
        let found: u32 = transaction.query_row("pragma user_version", [], |row| row.get(0))?;
        for migration in MIGRATIONS.iter().skip(found as usize) {
            transaction.execute_batch(migration)?;
        }
        if found == 0 {
            transaction.execute(IDENTITY_CREATE, [new_store_id()])?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION.max(found))?;
        transaction.commit()
    };
    done().map_err(|error| failure(error, "the schema of the store cannot be changed"))?;
    check(connected).map(|_| ())
}

/// How often the change to the write-ahead log is tried: SQLite does not wait for another process that makes the same change.
const LOG_TRIES_MAX: usize = 10_000;

fn use_log(connected: &Connected) -> Result<(), Error> {
    for _ in 0..LOG_TRIES_MAX {
        match connected.set("journal_mode", "wal") {
            Err(error) if *error.kind() == ErrorKind::Busy => std::thread::yield_now(),
            done => return done,
        }
    }
    connected.set("journal_mode", "wal")
}

/// The schema of the file; 0 for an empty one.
/// # Errors
/// `NewerSchema`; `Corrupt` for a database that is no store of Hence.
pub(super) fn check(connected: &Connected) -> Result<u32, Error> {
    // One transaction: another process may be making the store between two readings.
    let is_alone = connected.connection.is_autocommit();
    let snapshot = is_alone.then(|| connected.connection.unchecked_transaction()).transpose();
    let _snapshot = snapshot.map_err(|error| failure(error, "the schema of the store cannot be read"))?;
    let tables: i64 = connected.one("select count(*) from sqlite_master", [])?;
    let found: u32 = connected.one("pragma user_version", [])?;
    let application: i64 = connected.one("pragma application_id", [])?;
    if application != APPLICATION_ID && (tables > 0 || found > 0) {
        return Err(Error::new(ErrorKind::Corrupt, "the file is a database of another program"));
    }
    if found > SCHEMA_VERSION {
        let context = format!("the store has schema {found}, and this program knows {SCHEMA_VERSION}: use a newer program");
        return Err(Error::new(ErrorKind::NewerSchema { found, known: SCHEMA_VERSION }, context));
    }
    Ok(found)
}
