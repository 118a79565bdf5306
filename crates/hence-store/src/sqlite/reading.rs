//! Reading a file that this process may not write, or that lies in a folder it may not write.
//!
//! A file with a write-ahead log is read with the help of `-wal` and `-shm` beside it. Where these are not there and cannot be made, nobody
//! has the file open and all of it stands in the file itself, so it is read as one that does not change. What a writer does from then on is
//! not seen; whoever reads for long opens it anew.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::connection::Connected;
use super::{SqliteOptions, schema};
use crate::error::{Error, ErrorKind};

/// The schema of the file, and in `options` how it has to be read.
/// # Errors
/// `ReadOnly`: changes stand in a log that cannot be read without writing beside it. Else as it is opened.
pub(super) fn schema_of(path: &Path, options: &mut SqliteOptions) -> Result<u32, Error> {
    let look = |options: &SqliteOptions| schema::check(&Connected::reader(path, options)?, options.is_shared);
    let error = match look(options) {
        Ok(found) => return Ok(found),
        Err(error) => error,
    };
    if !matches!(error.kind(), ErrorKind::Missing | ErrorKind::ReadOnly | ErrorKind::Unavailable) {
        return Err(error);
    }
    let log = beside(path, "-wal");
    if log.exists() || beside(path, "-shm").exists() {
        let (file, log) = (path.display(), log.display());
        let context = format!(
            "the last changes of {file} stand in {log}, which cannot be read without writing beside it; read it as somebody who may, or \
             copy both files into a folder of your own"
        );
        return Err(Error::new(ErrorKind::ReadOnly, context).caused_by(error));
    }
    options.is_frozen = true;
    look(options).map_err(|_| error)
}

/// The address under which SQLite reads the file as one that does not change.
pub(super) fn frozen(path: &Path) -> PathBuf {
    let mut address = OsString::from("file:");
    let mut rest = path.to_string_lossy().into_owned();
    for (plain, written) in [("%", "%25"), ("?", "%3f"), ("#", "%23")] {
        rest = rest.replace(plain, written);
    }
    address.push(rest);
    address.push("?immutable=1");
    PathBuf::from(address)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    //! Goal: a file is read as it stands, whatever it is called. Method: a store under a name full of what means something in an address.
    use super::*;
    use crate::sqlite::{OpenMode, SqliteStore};

    #[test]
    fn a_file_is_read_as_one_that_does_not_change_under_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a %3f b?c#d.db");
        drop(SqliteStore::open(&path, SqliteOptions::new(OpenMode::Create)).unwrap());
        let mut options = SqliteOptions::new(OpenMode::ReadOnly);
        options.is_frozen = true;
        let reader = Connected::reader(&path, &options).unwrap();
        assert_eq!(schema::check(&reader, false).unwrap(), schema::SCHEMA_VERSION);
        assert!(!beside(&path, "-wal").exists() && !beside(&path, "-shm").exists(), "nothing is made beside it");
    }
}
