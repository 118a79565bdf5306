//! Facts from the user's own SQLite file: one row of one statement, or all rows for an audit; read only.
//!
//! The file is opened for each reading, without the right to write, so nothing of the user's can be changed or kept locked.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, Statement};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind};

/// How long another program may keep the file locked.
const BUSY_WAIT: Duration = Duration::from_secs(2);
/// After how many steps of SQLite's virtual machine a statement looks whether anybody still waits for it.
const STEPS: i32 = 10_000;
/// The most rows that are read at once: an audit holds the ids of all entities in memory.
pub const ROWS_MAX: usize = 2_000_000;

/// A file that facts are read from.
#[derive(Debug)]
pub struct SqliteFacts {
    path: PathBuf,
}

impl SqliteFacts {
    /// Facts from this file; it is not touched before the first reading.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The row of the statement as a JSON object by column name; `None` when there is no row. Blocks.
    ///
    /// `$1` in the statement is the entity's id. Blobs are refused. The statement is interrupted once `abandoned` is set.
    /// # Errors
    /// [`ErrorKind::Unavailable`]: the file cannot be opened or read, the statement does not fit, or was interrupted.
    /// [`ErrorKind::Invalid`]: it gives a second row: which of them decides would be chance.
    pub fn read(&self, sql: &str, entity_id: &str, abandoned: &Arc<AtomicBool>) -> Result<Option<Map<String, Value>>, Error> {
        let unavailable = |error| self.unavailable(error);
        let connection = self.open(abandoned)?;
        let mut statement = connection.prepare(sql).map_err(unavailable)?;
        if let Some(index) = statement.parameter_index("$1").map_err(unavailable)? {
            statement.raw_bind_parameter(index, entity_id).map_err(unavailable)?;
        }
        let names = columns(&statement);
        let mut rows = statement.raw_query();
        let Some(row) = rows.next().map_err(unavailable)? else { return Ok(None) };
        let object = self.values(&names, row)?.into_iter().collect();
        if rows.next().map_err(unavailable)?.is_some() {
            return Err(Error::new(ErrorKind::Invalid, "the statement gives more than one row"));
        }
        Ok(Some(object))
    }

    /// All rows of a statement without `$1`, each with its columns in order. Blocks.
    ///
    /// # Errors
    /// As [`SqliteFacts::read`]; [`ErrorKind::Invalid`]: there are more than [`ROWS_MAX`] rows.
    pub fn rows(&self, sql: &str, abandoned: &Arc<AtomicBool>) -> Result<Vec<Vec<(String, Value)>>, Error> {
        let unavailable = |error| self.unavailable(error);
        let connection = self.open(abandoned)?;
        let mut statement = connection.prepare(sql).map_err(unavailable)?;
        let names = columns(&statement);
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(unavailable)? {
            if found.len() == ROWS_MAX {
                return Err(Error::new(ErrorKind::Invalid, format!("there are more than {ROWS_MAX} rows")));
            }
            found.push(self.values(&names, row)?);
        }
        Ok(found)
    }

    fn open(&self, abandoned: &Arc<AtomicBool>) -> Result<Connection, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let mut connection = Connection::open_with_flags(&self.path, flags).map_err(|error| self.unavailable(error))?;
        connection.busy_timeout(BUSY_WAIT).map_err(|error| self.unavailable(error))?;
        let abandoned = Arc::clone(abandoned);
        let looking = connection.progress_handler(STEPS, Some(move || abandoned.load(Ordering::Relaxed)));
        looking.map_err(|error| self.unavailable(error))?;
        Ok(connection)
    }

    fn unavailable(&self, error: rusqlite::Error) -> Error {
        Error::new(ErrorKind::Unavailable, format!("cannot read {}: {error}", self.path.display())).caused_by(error)
    }

    fn values(&self, names: &[String], row: &Row<'_>) -> Result<Vec<(String, Value)>, Error> {
        let mut values = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            let value = json_of(row.get_ref(index).map_err(|error| self.unavailable(error))?);
            let value = value.ok_or_else(|| Error::new(ErrorKind::Invalid, format!("column `{name}` is a blob or no number")))?;
            values.push((name.clone(), value));
        }
        Ok(values)
    }
}

fn columns(statement: &Statement<'_>) -> Vec<String> {
    #[expect(clippy::useless_conversion, reason = "older versions in the range of rusqlite give a list, not an iterator")]
    statement.column_names().into_iter().map(str::to_owned).collect()
}

fn json_of(value: ValueRef<'_>) -> Option<Value> {
    match value {
        ValueRef::Null => Some(Value::Null),
        ValueRef::Integer(number) => Some(Value::from(number)),
        ValueRef::Real(number) => serde_json::Number::from_f64(number).map(Value::Number),
        ValueRef::Text(text) => Some(Value::String(String::from_utf8_lossy(text).into_owned())),
        ValueRef::Blob(_) => None,
    }
}

#[cfg(test)]
mod tests {
    //! Goal: facts come as JSON and nothing can be written. Method: a real file in a temporary folder.
    use super::*;

    #[test]
    fn a_row_becomes_an_object_and_writing_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("create table account (id text, email text, paid_at text, hits int); insert into account values ('42', 'a@b.c', null, 7)").unwrap();
        let facts = SqliteFacts::new(path);
        let wanted = Arc::default();
        let row = facts.read("select email, paid_at, hits from account where id = $1", "42", &wanted).unwrap().unwrap();
        assert_eq!(Value::Object(row), serde_json::json!({ "email": "a@b.c", "paid_at": null, "hits": 7 }));
        assert!(facts.read("select email from account where id = $1", "43", &wanted).unwrap().is_none());
        let second = facts.read("select 1 union all select 2", "42", &wanted).unwrap_err();
        assert_eq!(second.to_string(), "the statement gives more than one row");
        let rows = facts.rows("select id, hits from account", &wanted).unwrap();
        assert_eq!(rows, [vec![("id".to_owned(), "42".into()), ("hits".to_owned(), 7.into())]]);
        assert!(facts.read("delete from account where id = $1", "42", &wanted).is_err());
        assert!(facts.read("select nothing from account", "42", &wanted).is_err());
    }
}
