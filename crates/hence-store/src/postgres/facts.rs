//! Facts from a user's own PostgreSQL database: many entities by one query, or all rows for an audit; read only.
//!
//! Readings that wait at the same moment for the same statement are asked together: whoever comes first asks for all that wait, and while it
//! asks the next ones gather. So a batch of due tasks costs a few queries, however many they are. Invariants: every transaction is read only
//! and bounded in time; one entity's wrong id or second row is that entity's problem only.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, oneshot};
use tokio_postgres::NoTls;
use tokio_postgres::types::Json;

use super::address::Address;
use super::connection::whole;
use crate::error::{Error, ErrorKind};
use crate::facts::ROWS_MAX;

/// How many queries are asked at once; the others gather meanwhile.
const QUERIES_MAX: usize = 4;
/// How many entities one query is asked about.
const BATCH_MAX: usize = 500;
/// How long a query may take; what it is asked for is tried again later.
const STATEMENT_TIMEOUT: &str = "5s";
/// How long it is waited for a connection.
const CONNECTION_WAIT: Duration = Duration::from_secs(5);

/// One row, or none, of an entity.
type Answer = Result<Option<Map<String, Value>>, Error>;

/// A database that facts are read from.
pub struct PostgresFacts {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    place: String,
    turns: Semaphore,
    waiting: Mutex<Vec<Waiting>>,
}

/// A reading that waits for its turn.
struct Waiting {
    sql: String,
    id: String,
    answer: oneshot::Sender<Answer>,
}

impl PostgresFacts {
    /// Facts from the database at this address; nothing is connected before the first reading.
    /// # Errors
    /// [`ErrorKind::Invalid`]: the address cannot be read.
    pub fn new(url: &str) -> Result<Self, Error> {
        let address = Address::read(url)?;
        let place = address.place();
        let mut config = address.config;
        if config.get_application_name().is_none() {
            config.application_name("hence facts");
        }
        config.connect_timeout(CONNECTION_WAIT).target_session_attrs(tokio_postgres::config::TargetSessionAttrs::Any);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match address.tls {
            Some(tls) => Manager::from_config(config, tls, recycling),
            None => Manager::from_config(config, NoTls, recycling),
        };
        let builder = Pool::builder(manager).max_size(QUERIES_MAX).runtime(Runtime::Tokio1);
        let built = builder.wait_timeout(Some(CONNECTION_WAIT)).create_timeout(Some(CONNECTION_WAIT)).build();
        let pool = built.map_err(|error| Error::new(ErrorKind::Unavailable, "no connections can be made").caused_by(error))?;
        let (turns, waiting) = (Semaphore::new(QUERIES_MAX), Mutex::default());
        Ok(Self { inner: Arc::new(Inner { pool, place, turns, waiting }) })
    }

    /// The row of the statement as a JSON object by column name; `None` when there is no row.
    ///
    /// `$1` in the statement is the entity's id, of whatever type it is compared with.
    /// # Errors
    /// [`ErrorKind::Unavailable`]: the database cannot be reached or the statement fails. [`ErrorKind::Invalid`]: it gives a second row.
    pub async fn read(&self, sql: &str, entity_id: &str) -> Answer {
        let (sender, mut answer) = oneshot::channel();
        let sql = sql.trim().trim_end_matches(';').to_owned();
        self.inner.waiting().push(Waiting { sql: sql.clone(), id: entity_id.to_owned(), answer: sender });
        loop {
            // Those that come at the same moment come first.
            tokio::task::yield_now().await;
            let turn = self.inner.turns.acquire().await;
            let turn = turn.map_err(|error| Error::new(ErrorKind::Unavailable, "facts are not read any more").caused_by(error))?;
            if let Ok(answer) = answer.try_recv() {
                return answer;
            }
            let batch = self.inner.take(&sql);
            if batch.is_empty() {
                drop(turn);
                // Somebody else asks for it.
                return answer.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Unavailable, "the reading was cut off")));
            }
            let inner = Arc::clone(&self.inner);
            let sql = sql.clone();
            whole(async move {
                inner.ask_all(&sql, batch).await;
                Ok(())
            })
            .await?;
        }
    }

    /// All rows of a statement without `$1`, each with its columns in order.
    /// # Errors
    /// As [`PostgresFacts::read`]; [`ErrorKind::Invalid`]: there are more than [`ROWS_MAX`] rows.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<(String, Value)>>, Error> {
        let (inner, sql) = (Arc::clone(&self.inner), sql.trim().trim_end_matches(';').to_owned());
        whole(async move { inner.rows(&sql).await }).await
    }
}

impl Inner {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        // Nothing panics while this is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the oldest that wait for this statement.
    fn take(&self, sql: &str) -> Vec<Waiting> {
        let mut waiting = self.waiting();
        let (mut batch, mut left) = (Vec::new(), Vec::new());
        for one in waiting.drain(..) {
            if one.sql == sql && batch.len() < BATCH_MAX { batch.push(one) } else { left.push(one) }
        }
        *waiting = left;
        batch
    }

    /// Asks for all of them; where that fails, for each by itself, so that a wrong id hurts its own only.
    async fn ask_all(&self, sql: &str, batch: Vec<Waiting>) {
        let ids: Vec<String> = batch.iter().map(|one| one.id.clone()).collect();
        match self.ask(sql, &ids).await {
            Ok(answers) => {
                for (one, answer) in batch.into_iter().zip(answers) {
                    // Whoever went away does not need it any more.
                    let _ = one.answer.send(answer);
                }
            }
            Err(error) if batch.len() == 1 || *error.kind() != ErrorKind::Invalid => {
                for one in batch {
                    let _ = one.answer.send(Err(Error::new(error.kind().clone(), error.to_string())));
                }
            }
            Err(_) => {
                for one in batch {
                    let answers = self.ask(sql, std::slice::from_ref(&one.id)).await;
                    let answer = answers.and_then(|answers| answers.into_iter().next().unwrap_or(Ok(None)));
                    let _ = one.answer.send(answer);
                }
            }
        }
    }

    /// One query about these ids; an answer for each, in order.
    async fn ask(&self, sql: &str, ids: &[String]) -> Result<Vec<Answer>, Error> {
        let client = self.begin().await?;
        let asked = async {
            // What the id is compared with says its type.
            let plain = client.prepare_cached(sql).await?;
            let kind = plain.params().first().map(|kind| format!("\"{}\".\"{}\"", kind.schema(), kind.name()));
            let kind = kind.unwrap_or_else(|| "text".to_owned());
            let of_one = sql.replace("$1", &format!("(k.id::{kind})"));
            let together = format!(
                "select k.place, to_jsonb(q) from unnest($1::text[]) with ordinality as k (id, place) cross join lateral ({of_one}) as q"
            );
            let statement = client.prepare_cached(&together).await?;
            client.query(&statement, &[&ids]).await
        };
        let rows = self.end(client, asked.await).await?;
        let mut answers: Vec<Answer> = ids.iter().map(|_| Ok(None)).collect();
        for row in rows {
            let (place, Json(Value::Object(object))) = (row.get::<_, i64>(0), row.get::<_, Json<Value>>(1)) else { continue };
            let answer = &mut answers[usize::try_from(place - 1).unwrap_or_default()];
            *answer = match answer {
                Ok(None) => Ok(Some(object)),
                _ => Err(Error::new(ErrorKind::Invalid, "the statement gives more than one row")),
            };
        }
        Ok(answers)
    }

    async fn rows(&self, sql: &str) -> Result<Vec<Vec<(String, Value)>>, Error> {
        let client = self.begin().await?;
        let asked = async {
            let plain = client.prepare_cached(sql).await?;
            let names: Vec<String> = plain.columns().iter().map(|column| column.name().to_owned()).collect();
            let rows = client.query(&format!("select to_jsonb(q) from ({sql}) as q limit {}", ROWS_MAX + 1), &[]).await?;
            Ok((names, rows))
        };
        let (names, rows) = self.end(client, asked.await).await?;
        if rows.len() > ROWS_MAX {
            return Err(Error::new(ErrorKind::Invalid, format!("there are more than {ROWS_MAX} rows")));
        }
        let found = rows.iter().map(|row| {
            let Json(mut object) = row.get::<_, Json<Map<String, Value>>>(0);
            names.iter().map(|name| (name.clone(), object.remove(name).unwrap_or(Value::Null))).collect()
        });
        Ok(found.collect())
    }

    async fn begin(&self) -> Result<Object, Error> {
        let unavailable = || Error::new(ErrorKind::Unavailable, format!("the database {} cannot be reached", self.place));
        let client = self.pool.get().await.map_err(|error| unavailable().caused_by(error))?;
        let begin = format!("begin read only; set local statement_timeout = '{STATEMENT_TIMEOUT}'; set local timezone = 'UTC'");
        client.batch_execute(&begin).await.map_err(|error| unavailable().caused_by(error))?;
        Ok(client)
    }

    /// Ends the transaction, which changed nothing.
    async fn end<T>(&self, client: Object, asked: Result<T, tokio_postgres::Error>) -> Result<T, Error> {
        if client.batch_execute("rollback").await.is_err() {
            drop(Object::take(client));
        }
        asked.map_err(|error| {
            let said = error.as_db_error().map(|said| (said.message().to_owned(), said.code().code().to_owned()));
            // Data that does not fit (class 22): of a batch, each is asked for by itself.
            let kind = match &said {
                Some((_, code)) if code.starts_with("22") => ErrorKind::Invalid,
                _ => ErrorKind::Unavailable,
            };
            let said = said.map_or_else(|| error.to_string(), |(message, _)| message);
            Error::new(kind, format!("cannot read {}: {said}", self.place)).caused_by(error)
        })
    }
}
