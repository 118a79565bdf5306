//! The schema: numbered migrations, applied under the write lock; a newer schema or a foreign file is refused before any write.
//!
//! The store may share its file with the tables of another program. All names in it begin with `hence_`, and of the file's head, which others
//! number their schemas in, only `application_id` of a file that was empty is touched.

use rusqlite::{Connection, TransactionBehavior};

use super::connection::Connected;
use super::statement::{IDENTITY_CREATE, IDENTITY_SCHEMA, IDENTITY_SET_SCHEMA, MIGRATIONS};
use super::{OpenMode, failure};
use crate::error::{Error, ErrorKind};
use crate::memory::new_store_id;

/// Marks a file that holds a store of Hence and nothing else: `HNCE`.
const APPLICATION_ID: i64 = 0x484e_4345;
/// The schema that this program writes.
pub(super) const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;
/// Whether the file has no tables at all.
const IS_EMPTY: &str = "select count(*) = 0 from sqlite_master";
/// Whether there is a store in the file.
const HAS_STORE: &str = "select count(*) > 0 from sqlite_master where type = 'table' and name = 'hence_store'";

/// Brings the file to the newest schema; makes a new store of an empty one, or beside the tables of others where that is wanted. Running
/// it again changes nothing.
pub(super) fn migrate(connected: &mut Connected, mode: OpenMode, is_shared: bool) -> Result<(), Error> {
    let found = check(connected, is_shared)?;
    if found == SCHEMA_VERSION {
        return Ok(());
    }
    if mode == OpenMode::Existing && found == 0 {
        return Err(Error::new(ErrorKind::Missing, "there is no store in the file"));
    }
    use_log(connected)?;
    let transaction = connected
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| failure(error, "the schema of the store cannot be changed"))?;
    let done = || -> rusqlite::Result<()> {
        // Read again: another process may have been first while this one waited for the lock.
        let found = version(&transaction)?;
        let is_alone: bool = transaction.query_row(IS_EMPTY, [], |row| row.get(0))?;
        for migration in MIGRATIONS.iter().skip(found as usize) {
            transaction.execute_batch(migration)?;
        }
        if found == 0 {
            transaction.execute(IDENTITY_CREATE, [new_store_id()])?;
        }
        if is_alone {
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        }
        transaction.execute(IDENTITY_SET_SCHEMA, [SCHEMA_VERSION.max(found)])?;
        transaction.commit()
    };
    done().map_err(|error| failure(error, "the schema of the store cannot be changed"))?;
    check(connected, is_shared).map(|_| ())
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

/// The schema of the file; 0 for one without a store, which is empty unless it may be shared.
/// # Errors
/// `NewerSchema`; `Corrupt` for a database of another program.
pub(super) fn check(connected: &Connected, is_shared: bool) -> Result<u32, Error> {
    // One transaction: another process may be making the store between two readings.
    let is_alone = connected.connection.is_autocommit();
    let snapshot = is_alone.then(|| connected.connection.unchecked_transaction()).transpose();
    let unread = |error| failure(error, "the schema of the store cannot be read");
    let _snapshot = snapshot.map_err(unread)?;
    let found = version(&connected.connection).map_err(unread)?;
    let application: i64 = connected.one("pragma application_id", [])?;
    let is_empty: bool = connected.one(IS_EMPTY, [])?;
    if found == 0 && application == APPLICATION_ID && !is_empty {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "the store is of a version before the first release, and cannot be read any more",
        ));
    }
    if found == 0 && !is_shared && (!is_empty || application != 0) {
        return Err(Error::new(ErrorKind::Corrupt, "the file is a database of another program"));
    }
    if found > SCHEMA_VERSION {
        let context = format!("the store has schema {found}, and this program knows {SCHEMA_VERSION}: use a newer program");
        return Err(Error::new(ErrorKind::NewerSchema { found, known: SCHEMA_VERSION }, context));
    }
    Ok(found)
}

/// The number of the newest migration; 0 where there is no store.
fn version(connection: &Connection) -> rusqlite::Result<u32> {
    let has_store = connection.query_row(HAS_STORE, [], |row| row.get::<_, bool>(0))?;
    if has_store { connection.query_row(IDENTITY_SCHEMA, [], |row| row.get(0)) } else { Ok(0) }
}
