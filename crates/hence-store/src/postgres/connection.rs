//! Connections: the pools, one transaction for each call, and statements within it.
//!
//! Invariants: a call is carried out in a task of its own (`whole`), so that a caller who goes away never leaves a transaction half done
//! (F39); every connection comes back outside of a transaction or not at all; leases have connections of their own (F7); what the
//! server said of itself being gone drops all connections (F43).

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, Row};
use tracing::Instrument;

use super::address::Address;
use super::failure::{Stop, stop};
use super::statement::{Statement, WRITE_PAUSE};
use crate::error::{Error, ErrorKind};

/// How often a lost race is run again; each time waits a little longer, by chance.
const TRIES_MAX: u32 = 20;
/// How long a call waits for a free connection, and for a new one to be made.
const CONNECTION_WAIT: Duration = Duration::from_secs(10);
/// How long a new connection may take to the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long sent bytes may stay without an answer of the network (F43).
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);
/// How many connections leases have.
const LEASE_CONNECTIONS: usize = 2;

/// Bounds of every statement and transaction, and plans that do not depend on statistics, which are always wrong for tables that fill and
/// empty within seconds: every statement is led by an index (a test looks), so nothing but nested loops over indexes is right.
const SETTINGS: [(&str, &str); 9] = [
    ("statement_timeout", "15000"),
    ("lock_timeout", "5000"),
    ("idle_in_transaction_session_timeout", "10000"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_bitmapscan", "off"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];
/// A setting that only a direct connection brings to the server: a pooler refuses or forgets it.
const DIRECT: &str = "hence.direct";

/// What a call needs of its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One statement that reads.
    Look,
    /// Several that read, at one instant.
    Read,
    /// One statement that writes.
    Alone,
    /// Several that write.
    Write,
    /// Several that write, on a connection that other calls cannot keep busy.
    Lease,
}

/// Connections to one database.
pub(super) struct Connections {
    address: Address,
    connections_max: usize,
    is_read_only: bool,
    pools: Mutex<Pools>,
    /// Whether a pooler in transaction mode stands in between; known once the first connection was made.
    is_pooled: AtomicBool,
    is_known: AtomicBool,
}

#[derive(Clone)]
struct Pools {
    work: Pool,
    lease: Pool,
}

/// A connection in a transaction. One that is dropped within it is closed.
pub(super) struct Connected {
    /// Taken only when the connection is given up.
    client: Option<Object>,
    kind: Kind,
    is_pooled: bool,
    is_in_transaction: bool,
}

impl Connections {
    /// Nothing is connected yet.
    pub(super) fn new(address: Address, connections_max: usize, is_read_only: bool) -> Result<Self, Error> {
        let is_pooled = address.is_pooled.unwrap_or(false);
        let pools = pools(&address, is_pooled, connections_max, is_read_only)?;
        Ok(Self {
            is_known: AtomicBool::new(address.is_pooled.is_some()),
            address,
            connections_max,
            is_read_only,
            pools: Mutex::new(pools),
            is_pooled: AtomicBool::new(is_pooled),
        })
    }

    /// Where they lead.
    pub(super) fn place(&self) -> String {
        self.address.place()
    }

    /// Begins a transaction on a free connection.
    pub(super) async fn begin(&self, kind: Kind) -> Result<Connected, Error> {
        match self.try_begin(kind).await {
            // A connection that lay idle while the server went away: nothing was begun, so another one does.
            Err(Stop::Gone(_)) => {
                self.drop_all();
                self.try_begin(kind).await.map_err(Stop::into_error)
            }
            other => other.map_err(Stop::into_error),
        }
    }

    async fn try_begin(&self, kind: Kind) -> Result<Connected, Stop> {
        let client = self.client(kind).await?;
        let is_pooled = self.is_pooled.load(Ordering::Relaxed);
        let is_alone = matches!(kind, Kind::Look | Kind::Alone) && !is_pooled;
        let mut connected = Connected { client: Some(client), kind, is_pooled, is_in_transaction: false };
        if !is_alone {
            let isolation = if kind == Kind::Read { " isolation level repeatable read read only" } else { "" };
            let settings: String = match is_pooled {
                true => SETTINGS.iter().map(|(name, value)| format!("; set local {name} = {value}")).collect(),
                false => String::new(),
            };
            // From here on: what fails half way may have begun.
            connected.is_in_transaction = true;
            connected.batch(&format!("begin{isolation}{settings}")).await?;
        }
        Ok(connected)
    }

    async fn client(&self, kind: Kind) -> Result<Object, Stop> {
        let got = self.pool(kind).get().await;
        if self.is_known.load(Ordering::Relaxed) {
            return got.map_err(|error| self.pool_error(error));
        }
        let is_pooled = match &got {
            Ok(client) => {
                let sql = format!("select coalesce(current_setting('{DIRECT}', true), '') <> 'on'");
                let found = client.query_typed(&sql, &[]).await.map_err(|error| stop(error, "the database cannot be asked"))?;
                found.first().is_none_or(|row| row.get(0))
            }
            Err(PoolError::Backend(error)) => {
                error.to_string().contains("startup parameter") || {
                    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
                    source.contains("startup parameter")
                }
            }
            Err(_) => false,
        };
        if !is_pooled {
            let client = got.map_err(|error| self.pool_error(error))?;
            self.is_known.store(true, Ordering::Relaxed);
            return Ok(client);
        }
        tracing::info!(database = self.place(), "a pooler stands before the database: statements are sent without names");
        self.is_pooled.store(true, Ordering::Relaxed);
        self.is_known.store(true, Ordering::Relaxed);
        self.drop_all();
        self.pool(kind).get().await.map_err(|error| self.pool_error(error))
    }

    fn pool(&self, kind: Kind) -> Pool {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if kind == Kind::Lease { pools.lease.clone() } else { pools.work.clone() }
    }

    fn pool_error(&self, error: PoolError) -> Stop {
        let context = format!("the database {} cannot be reached", self.place());
        match error {
            PoolError::Backend(error) => stop(error, &context),
            PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) => {
                let context = "all connections to the database are in use";
                Stop::Failed(Error::new(ErrorKind::Busy, context).caused_by(error))
            }
            error => Stop::Failed(Error::new(ErrorKind::Unavailable, context).caused_by(error)),
        }
    }

    /// Uses none of the connections again: those that are in use end when they come back.
    fn drop_all(&self) {
        let is_pooled = self.is_pooled.load(Ordering::Relaxed);
        // The same settings made pools before, so this does not fail; if it did, the old ones would stay.
        if let Ok(new) = pools(&self.address, is_pooled, self.connections_max, self.is_read_only) {
            *self.pools.lock().unwrap_or_else(PoisonError::into_inner) = new;
        }
    }

    /// Ends the transaction by what came of it; `None` when the call is to be run again.
    pub(super) async fn end<T>(
        &self,
        connected: Connected,
        result: Result<T, Stop>,
        tries: &mut u32,
    ) -> Option<Result<T, Error>> {
        let kind = connected.kind;
        let stop = match connected.end(result).await {
            Ok(value) => return Some(Ok(value)),
            Err(stop) => stop,
        };
        *tries += 1;
        match stop {
            Stop::Again(error) if *tries < TRIES_MAX => {
                tracing::debug!(%error, tries, "a race was lost and is run again");
                self.pause(*tries).await;
                None
            }
            Stop::Gone(error) => {
                self.drop_all();
                let is_reading = matches!(kind, Kind::Look | Kind::Read);
                if is_reading && *tries == 1 { None } else { Some(Err(error)) }
            }
            Stop::Again(error) | Stop::Failed(error) => Some(Err(error)),
        }
    }

    /// The database waits, for time is not read here.
    async fn pause(&self, tries: u32) {
        if let Ok(connected) = self.try_begin(Kind::Look).await {
            let waited = connected.rows(&WRITE_PAUSE, &[&i64::from(tries)]).await;
            // Whether it waited does not matter.
            let _ = connected.end(waited).await;
        }
    }
}

impl Connected {
    /// All rows of a statement.
    pub(super) async fn rows(&self, statement: &Statement, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Stop> {
        let failed = |error| stop(error, self.context());
        if self.is_pooled {
            let typed: Vec<_> = params.iter().copied().zip(statement.types().iter().cloned()).collect();
            return self.client().query_typed(&statement.text, &typed).await.map_err(failed);
        }
        let prepared = self.client().prepare_typed_cached(&statement.text, statement.types()).await.map_err(failed)?;
        self.client().query(&prepared, params).await.map_err(failed)
    }

    /// The first row of a statement, if there is one.
    pub(super) async fn first(&self, statement: &Statement, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Stop> {
        Ok(self.rows(statement, params).await?.into_iter().next())
    }

    /// Runs a statement; how many rows it changed.
    pub(super) async fn run(&self, statement: &Statement, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Stop> {
        let failed = |error| stop(error, self.context());
        if self.is_pooled {
            let typed: Vec<_> = params.iter().copied().zip(statement.types().iter().cloned()).collect();
            return self.client().execute_typed(&statement.text, &typed).await.map_err(failed);
        }
        let prepared = self.client().prepare_typed_cached(&statement.text, statement.types()).await.map_err(failed)?;
        self.client().execute(&prepared, params).await.map_err(failed)
    }

    /// Prepares statements, so that running them together afterwards keeps their order.
    pub(super) async fn ready(&self, statements: &[&Statement]) -> Result<(), Stop> {
        if !self.is_pooled {
            for statement in statements {
                let prepared = self.client().prepare_typed_cached(&statement.text, statement.types()).await;
                prepared.map_err(|error| stop(error, self.context()))?;
            }
        }
        Ok(())
    }

    /// Runs statements without parameters.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Stop> {
        self.client().batch_execute(sql).await.map_err(|error| stop(error, self.context()))
    }

    fn context(&self) -> &'static str {
        match self.kind {
            Kind::Look | Kind::Read => "the store cannot be read",
            Kind::Alone | Kind::Write | Kind::Lease => "the store cannot be written",
        }
    }

    /// Commits, or takes back what was done.
    async fn end<T>(mut self, result: Result<T, Stop>) -> Result<T, Stop> {
        if !self.is_in_transaction {
            return result;
        }
        let ended = self.batch(if result.is_ok() { "commit" } else { "rollback" }).await;
        // One whose transaction is in doubt is closed when it is dropped.
        self.is_in_transaction = ended.is_err();
        match result {
            Ok(value) => ended.map(|()| value),
            Err(stop) => Err(stop),
        }
    }

    fn client(&self) -> &Object {
        self.client.as_ref().expect("the connection is given up only when this is dropped")
    }
}

impl Drop for Connected {
    /// After a panic, or where the end of the transaction is in doubt: it must not come back to the pool within it.
    fn drop(&mut self) {
        if self.is_in_transaction
            && let Some(client) = self.client.take()
        {
            drop(Object::take(client));
        }
    }
}

fn pools(address: &Address, is_pooled: bool, connections_max: usize, is_read_only: bool) -> Result<Pools, Error> {
    let mut config = address.config.clone();
    if config.get_application_name().is_none() {
        config.application_name("hence");
    }
    config.connect_timeout(CONNECT_TIMEOUT);
    config.tcp_user_timeout(TCP_USER_TIMEOUT);
    config.keepalives(true).keepalives_idle(Duration::from_secs(10));
    config.keepalives_interval(Duration::from_secs(5)).keepalives_retries(3);
    if !is_pooled {
        let mut options: Vec<String> = config.get_options().map(str::to_owned).into_iter().collect();
        options.extend(SETTINGS.iter().map(|(name, value)| format!("-c {name}={value}")));
        options.push(format!("-c {DIRECT}=on"));
        if is_read_only {
            options.push("-c default_transaction_read_only=on".to_owned());
        }
        config.options(options.join(" "));
    }
    if is_read_only {
        config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::Any);
    }
    let pool = |size: usize| {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match &address.tls {
            Some(tls) => Manager::from_config(config.clone(), tls.clone(), recycling),
            None => Manager::from_config(config.clone(), NoTls, recycling),
        };
        let builder = Pool::builder(manager).max_size(size).runtime(Runtime::Tokio1);
        let built = builder.wait_timeout(Some(CONNECTION_WAIT)).create_timeout(Some(CONNECTION_WAIT)).build();
        built.map_err(|error| Error::new(ErrorKind::Unavailable, "no connections can be made").caused_by(error))
    };
    Ok(Pools { work: pool(connections_max.max(1))?, lease: pool(LEASE_CONNECTIONS)? })
}

/// Carries a call out in a task of its own, to its end whatever becomes of the caller.
pub(super) async fn whole<T: Send + 'static>(call: impl Future<Output = Result<T, Error>> + Send + 'static) -> Result<T, Error> {
    let running = tokio::spawn(call.in_current_span());
    match running.await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(Error::new(ErrorKind::Unavailable, "the call was cut off").caused_by(error)),
    }
}

/// Carries work out in a transaction, again where the database decided a race against it; `$tries` counts from 0.
macro_rules! transaction {
    ($connections:expr, $kind:expr, |$connected:ident, $tries:ident| $work:expr) => {{
        let mut lost = 0_u32;
        loop {
            let $connected = $connections.begin($kind).await?;
            let $tries = lost;
            let _ = $tries;
            let result = $work.await;
            if let Some(answer) = $connections.end($connected, result, &mut lost).await {
                break answer;
            }
        }
    }};
}
pub(super) use transaction;
