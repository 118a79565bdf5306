//! Places with an empty store: one in memory, one in a file of a folder that goes away by itself.

use std::path::PathBuf;
use std::sync::Arc;

use hence_store::conformance::Site;
use hence_store::sqlite::{OpenMode, SqliteOptions, Synchronous};
use hence_store::{MemoryStore, SqliteStore, Store};

pub(crate) struct InMemory(MemoryStore);

impl InMemory {
    pub(crate) fn new(shards: u16) -> Self {
        Self(MemoryStore::with_shards(shards))
    }
}

impl Site for InMemory {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.another())
    }
}

pub(crate) struct InFile {
    folder: tempfile::TempDir,
    pub(crate) options: SqliteOptions,
}

impl InFile {
    pub(crate) fn new() -> Self {
        let mut options = SqliteOptions::new(OpenMode::Create);
        // Power is not cut in tests, and waiting for the disk makes them slow.
        options.synchronous = Synchronous::Normal;
        Self { folder: tempfile::tempdir().unwrap(), options }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("hence.db")
    }

    pub(crate) fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.path(), self.options.clone()).unwrap()
    }
}

impl Site for InFile {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store())
    }
}
