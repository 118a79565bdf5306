//! Places with an empty store: one in memory, one in a file of a folder that goes away by itself, one in a database of a private server.

use std::path::PathBuf;
use std::sync::Arc;

use hence_servers::postgres::{Database, Server};
use hence_store::conformance::Site;
use hence_store::conformance::fixture::at;
use hence_store::port::ClockSetting;
use hence_store::postgres::{PostgresOptions, PostgresStore};
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

pub(crate) struct InPostgres {
    pub(crate) database: Database,
    pub(crate) options: PostgresOptions,
    /// What is added to the address.
    parameters: &'static str,
}

impl InPostgres {
    /// A store of that many shards whose virtual clock stands far ahead: what is due is said by the tests, not by the day they run on.
    pub(crate) fn new(shards: u16) -> Self {
        let mut options = PostgresOptions::new(OpenMode::Existing);
        options.shards = shards;
        let made = options.clone();
        let server = Server::shared().unwrap();
        let text: String = (1..).map_while(PostgresStore::migration).collect();
        let key = format!("store_{shards}_{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, fnv));
        let database = server.new_database_like(&key, |database| {
            let url = database.url.clone();
            // A thread of its own: the caller may be within a runtime.
            std::thread::spawn(move || make(&url, made)).join().unwrap();
            Ok(())
        });
        Self { database: database.unwrap(), options, parameters: "" }
    }

    /// The same, spoken to as a pooler in transaction mode needs it.
    pub(crate) fn pooled(shards: u16) -> Self {
        Self { parameters: "?pooler=transaction", ..Self::new(shards) }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}{}", self.database.url, self.parameters)
    }

    pub(crate) fn store(&self) -> PostgresStore {
        PostgresStore::new(&self.url(), self.options.clone()).unwrap()
    }

    /// Carries out SQL beside the store.
    pub(crate) fn sql(&self, sql: &str) -> String {
        Server::shared().unwrap().psql(&self.database.url, sql).unwrap().trim().to_owned()
    }
}

fn fnv(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
}

fn make(url: &str, options: PostgresOptions) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = PostgresStore::new(url, options).unwrap();
        store.migrate().await.unwrap();
        let far = at(1_000_000_000);
        store.set_clock(ClockSetting::Virtual { now: far, target: far }).await.unwrap();
    });
}

impl Site for InPostgres {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store())
    }
}
