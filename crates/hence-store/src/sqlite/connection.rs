//! One connection: opening it in the right mode, running statements, and the numbers of steps that it has seen.
//!
//! Every statement is prepared once for each connection.

use std::collections::HashMap;
use std::path::Path;

use hence_core::name::{EntityKey, Name};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row};

use super::row::column;
use super::{OpenMode, SqliteOptions, Synchronous, failure, reading, statement};
use crate::error::Error;

/// How many statements a connection keeps prepared: more than there are.
const STATEMENTS_MAX: usize = 128;
/// Memory for pages of the writer, in KiB: 64 MB, as measured.
const WRITER_CACHE_KIB: i64 = 65_536;
/// Memory for pages of a reader, in KiB.
const READER_CACHE_KIB: i64 = 8_192;
/// After so many pages (32 MB) the write-ahead log is written back: seldom enough that a page that changes again and again is written
/// back once, and half of what the log keeps.
const LOG_PAGES_MAX: i64 = 8_000;
/// What the write-ahead log is cut back to after a checkpoint.
const LOG_BYTES_KEPT: i64 = 64 << 20;

/// A connection and what it has learnt.
pub(super) struct Connected {
    pub(super) connection: Connection,
    /// Numbers of steps by (timeline, type of the entity, name). They are only ever added, so that a hit is always right.
    steps: HashMap<(String, String, String), i64>,
}

impl Connected {
    /// A connection that writes. The file is made if `options` say so.
    pub(super) fn writer(path: &Path, options: &SqliteOptions) -> Result<Self, Error> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if options.mode == OpenMode::Create {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let this = Self::open(path, flags, options)?;
        this.set("cache_size", -WRITER_CACHE_KIB)?;
        // What is erased must not be found in the file (G24).
        this.set("secure_delete", 1)?;
        this.set("journal_size_limit", LOG_BYTES_KEPT)?;
        this.set("wal_autocheckpoint", LOG_PAGES_MAX)?;
        let synchronous = match options.synchronous {
            Synchronous::Full => "full",
            Synchronous::Normal => "normal",
        };
        this.set("synchronous", synchronous)?;
        if let Some(bytes) = options.file_bytes_max {
            let page: i64 = this.one("pragma page_size", [])?;
            this.set("max_page_count", (i64::try_from(bytes).unwrap_or(i64::MAX) / page).max(1))?;
        }
        Ok(this)
    }

    /// A connection that only reads.
    pub(super) fn reader(path: &Path, options: &SqliteOptions) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let this = match options.is_frozen {
            true => Self::open(&reading::frozen(path), flags | OpenFlags::SQLITE_OPEN_URI, options)?,
            false => Self::open(path, flags, options)?,
        };
        this.set("cache_size", -READER_CACHE_KIB)?;
        this.set("query_only", 1)?;
        Ok(this)
    }

    fn open(path: &Path, flags: OpenFlags, options: &SqliteOptions) -> Result<Self, Error> {
        let opened = Connection::open_with_flags(path, flags);
        let connection = opened.map_err(|error| failure(error, format!("the store {} cannot be opened", path.display())))?;
        let set_up = || -> rusqlite::Result<()> {
            connection.busy_timeout(options.busy_timeout)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
            // Without this SQLite plans a statement anew at each use, to look at the values given to `limit` and partial indexes.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
            connection.pragma_update(None, "temp_store", "memory")?;
            connection.pragma_update(None, "trusted_schema", 0)?;
            connection.pragma_update(None, "foreign_keys", 0)
        };
        set_up().map_err(|error| failure(error, format!("the store {} cannot be opened", path.display())))?;
        Ok(Self { connection, steps: HashMap::new() })
    }

    /// Sets a pragma, whether it answers or not.
    pub(super) fn set(&self, name: &str, value: impl rusqlite::ToSql) -> Result<(), Error> {
        let set = self.connection.pragma_update(None, name, value);
        set.map_err(|error| failure(error, format!("the setting {name} of the store cannot be made")))
    }

    /// Runs a statement that begins, ends or marks a part of a transaction.
    pub(super) fn control(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(|_| ())
    }

    /// Runs a statement without rows; how many rows it changed.
    pub(super) fn run(&self, sql: &str, params: impl Params) -> Result<usize, Error> {
        let run = || self.connection.prepare_cached(sql)?.execute(params);
        run().map_err(|error| failure(error, "the store cannot be written"))
    }

    /// The one value of the one row of a statement.
    pub(super) fn one<T: rusqlite::types::FromSql>(&self, sql: &str, params: impl Params) -> Result<T, Error> {
        let one = || self.connection.prepare_cached(sql)?.query_row(params, |row| row.get(0));
        one().map_err(|error| failure(error, "the store cannot be read"))
    }

    /// The first row of a statement, if there is one.
    pub(super) fn find<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let find = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_row(params, |row| Ok(read(row))).optional()
        };
        find().map_err(|error| failure(error, "the store cannot be read"))?.transpose()
    }

    /// All rows of a statement.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let all = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params)?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(read(row));
            }
            Ok(found)
        };
        let found: Vec<Result<T, Error>> = all().map_err(|error| failure(error, "the store cannot be read"))?;
        found.into_iter().collect()
    }

    /// The rowid of the row that was inserted last.
    pub(super) fn last_inserted(&self) -> i64 {
        self.connection.last_insert_rowid()
    }

    /// The last of `count` new numbers of a sequence.
    pub(super) fn take_numbers(&self, sequence: &str, count: usize) -> Result<i64, Error> {
        let count = i64::try_from(count).map_err(|error| crate::limits::invalid("too many numbers").caused_by(error))?;
        self.one(statement::IDENTITY_TAKE_NUMBERS, (sequence, count))
    }

    /// The number and the version of an entity, if it is known.
    pub(super) fn entity(&self, entity: &EntityKey) -> Result<Option<(i64, i64)>, Error> {
        self.find(statement::ENTITY_FIND, [entity.to_string()], |row| Ok((column(row, 0)?, column(row, 1)?)))
    }

    /// The number of a step, given to it now if it has none.
    pub(super) fn step(&mut self, timeline: Option<&str>, kind: &Name, step: Option<&Name>) -> Result<i64, Error> {
        let name = if timeline.is_some() { step.map(Name::as_str).unwrap_or_default() } else { "" };
        let key = (timeline.unwrap_or_default().to_owned(), kind.as_str().to_owned(), name.to_owned());
        if let Some(number) = self.steps.get(&key) {
            return Ok(*number);
        }
        let stored = self.find(statement::WRITE_FIND_STEP, (&key.0, &key.1, &key.2), |row| column(row, 0))?;
        let number = match stored {
            Some(number) => number,
            None => {
                self.run(statement::WRITE_INSERT_STEP, (&key.0, &key.1, &key.2))?;
                self.last_inserted()
            }
        };
        self.steps.insert(key, number);
        Ok(number)
    }

    /// Forgets what was learnt within a transaction that was rolled back.
    pub(super) fn forget(&mut self) {
        self.steps.clear();
    }
}
