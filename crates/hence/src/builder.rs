//! The beginning of an embedding program: a store, definitions, handlers, and the engine beside it.
//!
//! Owns putting the parts together, and the life of the engine: begun by [`Builder::start`], ended by [`Hence::stop`]. Leaves to others
//! what the parts do; whoever needs them put together otherwise uses [`Client`] and [`Engine`] by themselves.

use std::future::Future;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use hence_dispatch::{Dispatcher, Dispatchers, HandlerContext, HandlerError, HandlerReply, Handlers, Log};
use hence_store::sqlite::SqliteOptions;
use hence_store::{MemoryStore, OpenMode, SqliteStore, Store};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::engine::{Engine, EngineOptions, Summary};
use crate::error::Error;
use crate::facts::FactReaders;

/// Hence in this process: a [`Client`] that tells and asks, and an engine that makes it happen.
///
/// It is used like a client. Parts of a program that only tell and ask get a clone of [`Hence::client`]. When it is dropped the engine
/// stops as [`Hence::stop`] lets it, but nobody waits for it.
///
/// ```
/// use hence::Hence;
/// use hence::dispatch::{HandlerContext, HandlerReply};
///
/// #[derive(serde::Deserialize)]
/// struct Input {
///     data: Greeting,
/// }
/// #[derive(serde::Deserialize)]
/// struct Greeting {
///     name: String,
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), hence::Error> {
/// let (greeted, mut all_greeted) = tokio::sync::mpsc::unbounded_channel();
/// let hence = Hence::builder()
///     .handler("greet", move |_: HandlerContext, input: Input| {
///         let greeted = greeted.clone();
///         async move {
///             let _ = greeted.send(input.data.name);
///             Ok(HandlerReply::done())
///         }
///     })
///     .start()
///     .await?;
/// let action = serde_json::json!({ "handler": "greet", "data": { "name": "Ann" } });
/// hence.schedule("account/42", "greeting", hence.now().await?, action).await?;
/// assert_eq!(all_greeted.recv().await.as_deref(), Some("Ann"));
/// hence.stop().await?;
/// # Ok(())
/// # }
/// ```
pub struct Hence {
    client: Client,
    stop: CancellationToken,
    engine: Option<JoinHandle<Result<Summary, Error>>>,
}

/// Where the store is.
enum Place {
    Memory,
    Sqlite(PathBuf),
    Store(Arc<dyn Store>),
}

/// What a program sets before it begins. Made by [`Hence::builder`].
#[must_use]
pub struct Builder {
    place: Place,
    definitions: Vec<String>,
    pub(crate) handlers: Handlers,
    pub(crate) dispatchers: Dispatchers,
    readers: FactReaders,
    actor: String,
    pub(crate) options: EngineOptions,
    virtual_at: Option<Timestamp>,
}

impl Builder {
    /// Keeps everything in this SQLite file, which is made if it is not there. Without this, and without [`Builder::store`], it is kept in
    /// memory and ends with the process.
    ///
    /// The file may be that of the application: all tables of Hence are named `hence_…`, and what is told can be part of the application's
    /// own transactions ([`Client::statement`]). It is switched to the write-ahead log, and must be on a local disk.
    pub fn sqlite(mut self, path: impl Into<PathBuf>) -> Self {
        self.place = Place::Sqlite(path.into());
        self
    }

    /// Keeps everything in this store.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// let store = std::sync::Arc::new(hence::store::MemoryStore::new());
    /// let client = hence::Hence::builder().store(store).client().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.place = Place::Store(store);
        self
    }

    /// Makes this document the version of its definition that new enrolments follow; see [`Client::put_definition`].
    pub fn definition(mut self, source: impl Into<String>) -> Self {
        self.definitions.push(source.into());
        self
    }

    /// Registers a function that carries out `do = { handler = "name" }`. It takes the place of an earlier one of that name.
    ///
    /// Its input is read from what is sent: `{ "facts": { "account": { … } }, "data": { … }, … }`, the groups of facts that the step uses and the
    /// data of the task, such as `data = { name = "{account.name}" }` beside `handler`. An input that does not fit is refused without calling it. What its end means: [`HandlerReply`], [`HandlerError`].
    pub fn handler<T, F, R>(mut self, name: impl Into<String>, handler: F) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        F: Fn(HandlerContext, T) -> R + Send + Sync + 'static,
        R: Future<Output = Result<HandlerReply, HandlerError>> + Send + 'static,
    {
        self.handlers = self.handlers.on(name, handler);
        self
    }

    /// Adds a dispatcher, such as webhooks or mails; it takes the place of an earlier one that carried the same kind. Handlers and the log
    /// are there without it.
    pub fn dispatcher(mut self, dispatcher: Arc<dyn Dispatcher>) -> Self {
        self.dispatchers.add(dispatcher);
        self
    }

    /// Where facts are read from.
    pub fn facts(mut self, readers: FactReaders) -> Self {
        self.readers = readers;
        self
    }

    /// Who tells, as history keeps it; `app` by default.
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = actor.into();
        self
    }

    /// What the engine keeps to.
    pub fn engine(mut self, options: EngineOptions) -> Self {
        self.options = options;
        self
    }

    /// Lets the store's clock be a virtual one that stands at `at` until [`Client::advance`]. A clock that is virtual already goes on from
    /// where it stands. For demonstrations; tests use [`testing`](crate::testing).
    pub fn virtual_clock(mut self, at: Timestamp) -> Self {
        self.virtual_at = Some(at);
        self
    }

    /// Opens the store, for a program that tells and asks while an engine runs elsewhere.
    /// # Errors
    /// The store cannot be opened; [`Error::Definition`]: a definition has problems.
    pub async fn client(self) -> Result<Client, Error> {
        Ok(self.open().await?.0)
    }

    /// Opens the store and begins an engine beside the program.
    /// # Errors
    /// As [`Builder::client`]. What keeps the engine from running later is told by [`Hence::ended`].
    pub async fn start(self) -> Result<Hence, Error> {
        let (client, dispatchers, options) = self.open().await?;
        let stop = CancellationToken::new();
        let engine = Engine::new(client.clone(), dispatchers, options);
        let engine = tokio::spawn(engine.run(stop.clone()));
        Ok(Hence { client, stop, engine: Some(engine) })
    }

    /// The client, and what an engine needs.
    pub(crate) async fn open(self) -> Result<(Client, Dispatchers, EngineOptions), Error> {
        let Builder { place, definitions, handlers, dispatchers, readers, actor, options, virtual_at } = self;
        let store: Arc<dyn Store> = match place {
            Place::Memory => Arc::new(MemoryStore::new()),
            Place::Sqlite(path) => Arc::new(open_file(path).await?),
            Place::Store(store) => store,
        };
        let client = Client::open(store, readers, &actor).await?;
        if let Some(at) = virtual_at
            && client.clock().read().await?.target.is_none()
        {
            client.clock().make_virtual(at).await?;
        }
        for source in &definitions {
            client.put_definition(source).await?;
        }
        let mut all = Dispatchers::new().with(Arc::new(Log)).with(Arc::new(handlers));
        dispatchers.all().for_each(|dispatcher| all.add(Arc::clone(dispatcher)));
        Ok((client, all, options))
    }
}

/// Opens a store in a file; file access blocks, so it is done beside the runtime.
async fn open_file(path: PathBuf) -> Result<SqliteStore, Error> {
    let open = move || {
        let mut options = SqliteOptions::new(OpenMode::Create);
        options.is_shared = true;
        SqliteStore::open(&path, options)
    };
    let opened = tokio::task::spawn_blocking(open).await;
    Ok(opened.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))?)
}

impl Hence {
    /// Nothing set yet: a store in memory, no definitions, no handlers.
    pub fn builder() -> Builder {
        Builder {
            place: Place::Memory,
            definitions: Vec::new(),
            handlers: Handlers::new(),
            dispatchers: Dispatchers::new(),
            readers: FactReaders::default(),
            actor: "app".to_owned(),
            options: EngineOptions::default(),
            virtual_at: None,
        }
    }

    /// The client, to be cloned for parts of the program that tell and ask.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Ends once the engine has: by [`Hence::stop`] from elsewhere never, so it is awaited to learn of what it cannot go on from, beside the
    /// program's own reason to end:
    ///
    /// ```no_run
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # let mut hence = hence::Hence::builder().start().await?;
    /// tokio::select! {
    ///     ended = hence.ended() => ended.map(|_| ()),
    ///     _ = tokio::signal::ctrl_c() => hence.stop().await.map(|_| ()),
    /// }
    /// # }
    /// ```
    /// # Errors
    /// As [`Engine::run`].
    pub async fn ended(&mut self) -> Result<Summary, Error> {
        match self.engine.as_mut() {
            None => std::future::pending().await,
            Some(engine) => {
                let ended = engine.await;
                self.engine = None;
                result(ended)
            }
        }
    }

    /// Lets the engine start nothing more, waits for the attempts under way to end and for their ends to be written; what it has done.
    /// # Errors
    /// As [`Engine::run`].
    pub async fn stop(mut self) -> Result<Summary, Error> {
        self.stop.cancel();
        match self.engine.take() {
            Some(engine) => result(engine.await),
            None => Ok(Summary::default()),
        }
    }
}

/// What came of the engine; a panic in it goes on here.
fn result(ended: Result<Result<Summary, Error>, tokio::task::JoinError>) -> Result<Summary, Error> {
    match ended {
        Ok(result) => result,
        Err(broken) if broken.is_panic() => std::panic::resume_unwind(broken.into_panic()),
        // Only the end of the whole runtime does this: nobody is left to be told what the engine had done.
        Err(_) => Ok(Summary::default()),
    }
}

impl Deref for Hence {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Hence {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
