//! The world of the engine's tests: a store, a client on a virtual clock, and an engine whose handlers note what reaches them.
//!
//! An engine runs only while [`World::advance`] or [`World::engine`] says so, so that a test knows what happens between two of its lines.

use std::sync::{Arc, Mutex};

use hence::dispatch::{Dispatcher, Dispatchers, HandlerContext, HandlerError, HandlerReply, Handlers};
use hence::store::memory::MemoryStore;
use hence::store::sqlite::{OpenMode, SqliteOptions, SqliteStore, Synchronous};
use hence::{Client, Engine, EngineOptions, Enrolment, FactReaders, Store, Summary, Telling, Told};
use hence_core::history::RecordKind;
use hence_core::name::EntityKey;
use hence_core::reason::Reason;
use hence_core::task::Task;
use hence_store::port::{HistoryFilter, HistoryOrder, HistoryRow, PageRequest, UpcomingFilter};
use jiff::Timestamp;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Where every world begins: a Monday.
pub(crate) const BEGIN: &str = "2026-03-02T09:00:00Z";

/// A new store, and the same store as another process has it.
pub(crate) struct Place {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) other: Arc<dyn Store>,
    _folder: Option<tempfile::TempDir>,
}

/// One place of each kind.
pub(crate) fn places() -> Vec<Place> {
    let memory = MemoryStore::new();
    let other = Arc::new(memory.another());
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let mut options = SqliteOptions::new(OpenMode::Create);
        // Power is not cut in tests, and waiting for the disk makes them slow.
        options.synchronous = Synchronous::Normal;
        Arc::new(SqliteStore::open(&folder.path().join("hence.db"), options).unwrap())
    };
    let (first, second) = (open(), open());
    vec![Place { store: Arc::new(memory), other, _folder: None }, Place { store: first, other: second, _folder: Some(folder) }]
}

pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) calls: Arc<Mutex<Vec<String>>>,
    more: Vec<Arc<dyn Dispatcher>>,
    handlers: Handlers,
}

/// An engine that runs beside the test.
pub(crate) struct Running {
    stop: CancellationToken,
    engine: JoinHandle<Result<Summary, hence::Error>>,
}

impl Running {
    pub(crate) async fn stop(self) -> Summary {
        self.stop.cancel();
        self.engine.await.unwrap().unwrap()
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn entity() -> EntityKey {
    "account/42".parse().unwrap()
}

impl World {
    pub(crate) async fn new(store: Arc<dyn Store>) -> World {
        Self::with_facts(store, FactReaders::default()).await
    }

    pub(crate) async fn with_facts(store: Arc<dyn Store>, readers: FactReaders) -> World {
        let client = Client::open(store, readers, "test").await.unwrap();
        client.clock().make_virtual(at(BEGIN)).await.unwrap();
        let calls: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&calls);
        let note = move |context: &HandlerContext, payload: &Value| {
            let attempt = &context.attempt;
            let timeout = attempt.timeout;
            noted.lock().unwrap().push(format!("{} {} {} {timeout:?}", attempt.started_at, attempt.step, payload["data"]));
        };
        let (one, two) = (note.clone(), note);
        let handlers = Handlers::new()
            .on("note", move |context, payload: Value| {
                one(&context, &payload);
                async { Ok(HandlerReply::done()) }
            })
            .on("say", move |context, payload: Value| {
                two(&context, &payload);
                async { Ok(HandlerReply::outcome("yes")) }
            })
            .on("broken", |_, _: Value| async { Err(HandlerError::again("the receiver is down")) })
            .on("unsure", |_, _: Value| async { Err(HandlerError::Unknown("the line was cut".to_owned())) });
        World { client, calls, more: Vec::new(), handlers }
    }

    /// Adds a dispatcher beside the handlers.
    pub(crate) fn with(mut self, dispatcher: Arc<dyn Dispatcher>) -> World {
        self.more.push(dispatcher);
        self
    }

    /// Changes the handlers.
    pub(crate) fn handling(mut self, change: impl FnOnce(Handlers) -> Handlers) -> World {
        self.handlers = change(self.handlers);
        self
    }

    /// Starts an engine.
    pub(crate) fn engine(&self) -> Running {
        let mut dispatchers = Dispatchers::new().with(Arc::new(self.handlers.clone())).with(Arc::new(hence::dispatch::Log));
        for dispatcher in &self.more {
            dispatchers = dispatchers.with(Arc::clone(dispatcher));
        }
        let stop = CancellationToken::new();
        let engine = Engine::new(self.client.clone(), dispatchers, EngineOptions::default());
        Running { engine: tokio::spawn(engine.run(stop.clone())), stop }
    }

    /// Lets an engine run until the virtual clock has arrived.
    pub(crate) async fn advance(&self, to: &str) {
        // A virtual clock moves on only once everything at an instant has been done: a microsecond more shows that all is done at `to`.
        let beyond = at(to) + jiff::SignedDuration::from_micros(1);
        self.client.clock().advance(beyond).await.unwrap();
        let running = self.engine();
        while self.client.now().await.unwrap() < beyond && !running.engine.is_finished() {
            tokio::task::yield_now().await;
        }
        running.stop().await;
        self.client.clock().make_virtual(at(to)).await.unwrap();
    }

    /// Time passes while no engine runs.
    pub(crate) async fn down_until(&self, to: &str) {
        self.client.clock().make_virtual(at(to)).await.unwrap();
    }

    /// Puts the definition and enrols the entity now, with these facts.
    pub(crate) async fn enrol(&self, definition: &str, facts: Value) -> Told {
        let put = self.client.put_definition(definition).await;
        let timeline = put.unwrap_or_else(|error| panic!("{error:?} in {definition}")).name.clone();
        self.client.tell(Telling::enrol(Enrolment::new(timeline, entity()).facts(facts))).await.unwrap()
    }

    pub(crate) async fn event(&self, name: &str, data: Value, facts: Value) -> Told {
        self.client.tell(Telling::event(entity(), name.parse().unwrap(), data, facts)).await.unwrap()
    }

    /// Waits until history holds a record of that kind.
    pub(crate) async fn until(&self, kind: RecordKind) {
        while !self.rows().await.iter().any(|row| row.record.kind == kind) {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn rows(&self) -> Vec<HistoryRow> {
        let filter = HistoryFilter { entity: Some(entity()), order: HistoryOrder::OldestFirst, ..HistoryFilter::default() };
        self.client.store().history(&filter, PageRequest::first(500)).await.unwrap().items
    }

    pub(crate) async fn upcoming(&self) -> Vec<Task> {
        let filter = UpcomingFilter { entity: Some(entity()), ..UpcomingFilter::default() };
        self.client.store().upcoming(&filter, PageRequest::first(500)).await.unwrap().items
    }

    /// What happened to tasks, and proofs of erasures: `2026-03-03T09:00:00Z a done`.
    pub(crate) async fn history(&self) -> Vec<String> {
        let rows = self.rows().await.into_iter().map(|row| row.record);
        let told = rows.filter(|record| record.task.is_some() || record.kind == RecordKind::Notice);
        told.map(|record| {
            let step = record.step.as_ref().map_or("-", |step| step.as_str());
            let what = record.outcome.as_deref().unwrap_or(record.kind.as_str());
            let text = match &record.reason {
                Reason::Event { text: Some(text), .. } => format!(" ({text})"),
                _ => String::new(),
            };
            format!("{} {step} {what}{text}", record.at)
        })
        .collect()
    }

    /// The instants and steps that reached a handler, without what they carried.
    pub(crate) fn called(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|call| call.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
    }
}
