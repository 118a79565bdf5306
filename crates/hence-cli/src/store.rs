//! Where a store is, and opening it: a SQLite file, or a PostgreSQL database.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::{fmt, io};

use hence::Store;
use hence::store::postgres::{PostgresOptions, PostgresStore, place_of};
use hence::store::sqlite::{SqliteOptions, SqliteStore};
use hence::store::{ErrorKind, OpenMode};

use crate::output;
use crate::problem::Problem;

/// That it is only read is said once.
static SAID: Once = Once::new();

/// The address of a store.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A SQLite file.
    File(PathBuf),
    /// A PostgreSQL database, by its address, which can hold a password.
    Database(String),
}

impl Place {
    /// The place that `sqlite:PATH` or `postgres://…` names; `key` is how problems call where it was written.
    /// # Errors
    /// HNC-0320: it is neither.
    pub(crate) fn read(url: &str, key: &str) -> Result<Self, Problem> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Database(url.to_owned()));
        }
        crate::config::database(url, key).map(Self::File)
    }

    /// The same; a relative path is below that folder.
    pub(crate) fn below(self, folder: &Path) -> Self {
        match self {
            Place::File(path) => Place::File(folder.join(path)),
            database => database,
        }
    }

    /// Whether the file is there. Of a database that is only known once it is opened.
    pub(crate) fn may_be_there(&self) -> bool {
        match self {
            Place::File(path) => path.exists(),
            Place::Database(_) => true,
        }
    }

    /// Opens it; a file that is there and cannot be written is opened for reading.
    /// # Errors
    /// HNC-0327: it is not there, or cannot be opened.
    pub(crate) async fn open(&self, mode: OpenMode) -> Result<Arc<dyn Store>, Problem> {
        Ok(match self {
            Place::File(path) => Arc::new(file(path, mode)?),
            Place::Database(url) => Arc::new(PostgresStore::open(url, PostgresOptions::new(mode)).await?),
        })
    }
}

fn file(path: &Path, mode: OpenMode) -> Result<SqliteStore, hence::store::Error> {
    let error = match SqliteStore::open(path, SqliteOptions::new(mode)) {
        Ok(store) if mode == OpenMode::Existing && is_write_protected(path) => {
            drop(store);
            None
        }
        Ok(store) => return Ok(store),
        Err(error) if mode == OpenMode::Existing && path.exists() => Some(error),
        Err(error) => return Err(error),
    };
    match SqliteStore::open(path, SqliteOptions::new(OpenMode::ReadOnly)) {
        Ok(store) => {
            SAID.call_once(|| output::note(&format!("{} cannot be written by you; it is only read", path.display())));
            Ok(store)
        }
        // Why it cannot even be read says more than why it cannot be written.
        Err(reading) if *reading.kind() == ErrorKind::ReadOnly => Err(reading),
        Err(reading) => Err(error.unwrap_or(reading)),
    }
}

/// Whether the file is there and this process may not write it.
fn is_write_protected(path: &Path) -> bool {
    let opened = std::fs::OpenOptions::new().write(true).open(path);
    opened.is_err_and(|error| matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => write!(f, "{}", path.display()),
            // Neither who nor by which password.
            Place::Database(url) => match place_of(url) {
                Ok(place) => write!(f, "postgres://{place}"),
                Err(_) => f.write_str("a PostgreSQL database whose address cannot be read"),
            },
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

#[cfg(test)]
mod tests {
    //! Goal: both kinds of addresses are read, and none is shown with its password. Method: addresses, and what is shown of them.
    use super::Place;

    #[test]
    fn addresses_are_shown_without_passwords() {
        for (url, shown) in [
            ("sqlite:hence.db", "hence.db"),
            ("postgres://hence:s3cret@db.example.com:5432/app?sslmode=disable", "postgres://db.example.com/app"),
            ("postgresql://localhost/app", "postgres://localhost/app"),
            ("postgres://u:p@localhost?dbname=x", "postgres://localhost/x"),
            ("postgres://app:se/s3cret?x@db.example.com/app", "postgres://db.example.com/app"),
            ("postgres://app:s3cret@db:no/app", "a PostgreSQL database whose address cannot be read"),
        ] {
            let place = Place::read(url, "--store").map_err(|problem| problem.to_string()).unwrap();
            assert_eq!(place.to_string(), shown);
            assert!(!format!("{place:?}").contains("s3cret"));
        }
        assert!(Place::read("mysql://localhost/app", "--store").is_err());
    }
}
