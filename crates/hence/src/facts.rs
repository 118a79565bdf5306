//! Reading facts: from databases and over HTTP, by the names that the definition uses and the configuration explains.
//!
//! A fact that cannot be read is a problem to be tried again, never a value. What was read is typed by the definition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hence_core::answer::Problem;
use hence_core::definition::{Definition, FactGroup, FactSource};
use hence_core::expression::Context;
use hence_core::name::EntityKey;
use hence_core::value::{Facts, Value};
use serde_json::Map;

/// A database that facts are read from.
#[async_trait]
pub trait FactReader: Send + Sync {
    /// The first row of a statement as a JSON object, `None` when there is no row; `$1` in it is the entity's id.
    /// # Errors
    /// What kept it from being read; it is tried again.
    async fn read(&self, sql: &str, entity_id: &str) -> Result<Option<Map<String, serde_json::Value>>, String>;

    /// All rows of a statement without `$1`, each with its columns in order: what `[audit]` asks.
    /// # Errors
    /// What kept it from being read, or that this database cannot list; it is tried again.
    async fn rows(&self, sql: &str) -> Result<Vec<Row>, String> {
        let _ = sql;
        Err("it cannot list rows".to_owned())
    }
}

/// The columns of one row, in order, each with its name.
pub type Row = Vec<(String, serde_json::Value)>;

/// Facts from an SQLite file, opened for reading only.
pub struct SqliteReader {
    facts: Arc<hence_store::facts::SqliteFacts>,
}

impl SqliteReader {
    /// Reads from this file; it is opened anew for each reading, so that it may be moved or made later.
    pub fn new(path: impl Into<std::path::PathBuf>) -> Self {
        Self { facts: Arc::new(hence_store::facts::SqliteFacts::new(path.into())) }
    }
}

#[async_trait]
impl FactReader for SqliteReader {
    async fn read(&self, sql: &str, entity_id: &str) -> Result<Option<Map<String, serde_json::Value>>, String> {
        let (facts, sql, id) = (Arc::clone(&self.facts), sql.to_owned(), entity_id.to_owned());
        let read = tokio::task::spawn_blocking(move || facts.read(&sql, &id));
        read.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    async fn rows(&self, sql: &str) -> Result<Vec<Row>, String> {
        let (facts, sql) = (Arc::clone(&self.facts), sql.to_owned());
        let read = tokio::task::spawn_blocking(move || facts.rows(&sql));
        read.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

/// Facts from a PostgreSQL database, in transactions that are read only; readings at the same moment are asked together.
#[cfg(feature = "postgres")]
pub struct PostgresReader {
    facts: hence_store::postgres::PostgresFacts,
}

#[cfg(feature = "postgres")]
impl PostgresReader {
    /// Reads from the database at this address, such as `postgres://reader@host/app`; nothing is connected before the first reading.
    /// # Errors
    /// The address cannot be read.
    pub fn new(url: &str) -> Result<Self, crate::error::Error> {
        Ok(Self { facts: hence_store::postgres::PostgresFacts::new(url)? })
    }
}

#[cfg(feature = "postgres")]
#[async_trait]
impl FactReader for PostgresReader {
    async fn read(&self, sql: &str, entity_id: &str) -> Result<Option<Map<String, serde_json::Value>>, String> {
        self.facts.read(sql, entity_id).await.map_err(|error| error.to_string())
    }

    async fn rows(&self, sql: &str) -> Result<Vec<Row>, String> {
        self.facts.rows(sql).await.map_err(|error| error.to_string())
    }
}

/// All places that facts can be read from.
///
/// ```
/// use std::sync::Arc;
/// let readers = hence::FactReaders::default().with_database("app", Arc::new(hence::SqliteReader::new("app.db")));
/// let builder = hence::Hence::builder().facts(readers);
/// ```
#[derive(Clone, Default)]
pub struct FactReaders {
    databases: BTreeMap<String, Arc<dyn FactReader>>,
    #[cfg(feature = "webhook")]
    http: Option<hence_dispatch::HttpFacts>,
}

impl FactReaders {
    /// Adds a database under the name that definitions use as `source`.
    #[must_use]
    pub fn with_database(mut self, name: &str, reader: Arc<dyn FactReader>) -> Self {
        self.databases.insert(name.to_owned(), reader);
        self
    }

    /// Adds the targets that definitions use as `http`.
    #[cfg(feature = "webhook")]
    #[must_use]
    pub fn with_http(mut self, http: hence_dispatch::HttpFacts) -> Self {
        self.http = Some(http);
        self
    }

    /// Reads those of the named groups that have a source, and takes the rest from `known`.
    /// # Errors
    /// The first group that cannot be read, or whose fields are not of their types.
    pub(crate) async fn read(
        &self,
        definition: &Definition,
        groups: &BTreeSet<String>,
        entity: &EntityKey,
        known: &Facts,
    ) -> Result<Facts, Problem> {
        let mut facts = known.clone();
        for (name, group) in &definition.facts {
            if group.source.is_none() || !groups.contains(name.as_str()) {
                continue;
            }
            let fields = self.group(group, entity).await.map_err(|problem| Problem {
                code: "facts-not-read".to_owned(),
                message: format!("facts `{name}`: {problem}"),
            })?;
            for (field, kind) in &group.fields {
                let json = fields.get(field.as_str()).unwrap_or(&serde_json::Value::Null);
                let is_sql = matches!(group.source, Some(FactSource::Sql { .. }));
                let accepted = if is_sql { kind.accept_sql(json) } else { kind.accept(json) };
                let value = accepted.map_err(|error| Problem {
                    code: "facts-not-typed".to_owned(),
                    message: format!("facts `{name}.{field}`: {error}"),
                })?;
                facts.insert(name.as_str(), field.as_str(), value);
            }
        }
        Ok(facts)
    }

    /// All rows of a statement, asked of the named database.
    pub(crate) async fn rows(&self, source: &str, sql: &str) -> Result<Vec<Row>, String> {
        let reader = self.databases.get(source).ok_or_else(|| format!("the database `{source}` is not configured"))?;
        reader.rows(sql).await.map_err(|problem| format!("the database `{source}`: {problem}"))
    }

    async fn group(&self, group: &FactGroup, entity: &EntityKey) -> Result<Map<String, serde_json::Value>, String> {
        match &group.source {
            None => Ok(Map::new()),
            Some(FactSource::Sql { source, sql }) => {
                let reader = self.databases.get(source.as_str());
                let reader = reader.ok_or_else(|| format!("the database `{source}` is not configured"))?;
                let row = reader.read(sql, entity.id()).await?;
                // No row says that nothing is known, where nothing needs to be; elsewhere it may come later.
                let may_be_missing = group.fields.values().all(|kind| kind.nullable);
                row.or_else(|| may_be_missing.then(Map::new)).ok_or_else(|| {
                    format!("the database `{source}` has no row for {entity}, and not all of its fields may be null")
                })
            }
            Some(FactSource::Http { target, path }) => {
                let context = Context::new().with("entity", Value::String(entity.id().to_owned()));
                let path = path.render_path(&context).map_err(|error| error.to_string())?;
                let timeout = Duration::try_from(group.timeout).unwrap_or(Duration::from_secs(5));
                self.http(target.as_str(), path, timeout).await
            }
        }
    }

    #[cfg(feature = "webhook")]
    async fn http(&self, target: &str, path: String, timeout: Duration) -> Result<Map<String, serde_json::Value>, String> {
        let Some(http) = &self.http else { return Err(format!("the target `{target}` is not configured")) };
        let request = hence_dispatch::FactsRequest {
            target: target.to_owned(),
            path,
            id: format!("facts_{:016x}", fastrand::u64(..)),
            sent_at: crate::clock::wall(),
            timeout,
        };
        http.read(&request).await.map_err(|problem| problem.message().to_owned())
    }

    #[cfg(not(feature = "webhook"))]
    async fn http(&self, target: &str, _path: String, _timeout: Duration) -> Result<Map<String, serde_json::Value>, String> {
        Err(format!("the target `{target}` cannot be reached: this build has no HTTP (feature `webhook`)"))
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a row becomes facts of the declared types, and no row means what the types allow. Method: rows in, facts out.
    use super::*;

    struct Rows(Option<Map<String, serde_json::Value>>);

    #[async_trait]
    impl FactReader for Rows {
        async fn read(&self, _sql: &str, _entity_id: &str) -> Result<Option<Map<String, serde_json::Value>>, String> {
            Ok(self.0.clone())
        }
    }

    async fn check(fields: &str, row: serde_json::Value, expected: &str) {
        let source = format!(
            "[timeline]\nname = \"t\"\nentity = \"account\"\nanchor = \"start\"\n[facts.a]\nsource = \"app\"\n\
             sql = \"select 1 from account where id = $1\"\nfields = {{ {fields} }}\n\
             [step.s]\nwhen = \"a.x == null\"\ndo = {{ log = \"s\" }}\n"
        );
        let definition = Definition::load(&source).unwrap().definition;
        let readers = FactReaders::default().with_database("app", Arc::new(Rows(row.as_object().cloned())));
        let groups = BTreeSet::from(["a".to_owned()]);
        let entity: EntityKey = "account/42".parse().unwrap();
        let found = match readers.read(&definition, &groups, &entity, &Facts::default()).await {
            Ok(facts) => facts.to_json().to_string(),
            Err(problem) => problem.message,
        };
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn a_row_of_sqlite_has_truth_and_instants_in_its_own_way() {
        let row = serde_json::json!({ "x": 1, "at": "2026-03-02 10:00:00" });
        check("x = \"bool?\", at = \"time\"", row, r#"{"a":{"at":"2026-03-02T10:00:00Z","x":true}}"#).await;
    }

    #[tokio::test]
    async fn no_row_is_null_where_everything_may_be() {
        check("x = \"bool?\"", serde_json::Value::Null, r#"{"a":{"x":null}}"#).await;
        let expected = "facts `a`: the database `app` has no row for account/42, and not all of its fields may be null";
        check("x = \"bool?\", at = \"time\"", serde_json::Value::Null, expected).await;
    }
}
