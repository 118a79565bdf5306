//! Hence beside sqlx in one program: both use the one SQLite that is linked, and a transaction of sqlx tells.

#![allow(clippy::print_stdout)] // what it prints is what it shows

use hence::serde_json::Value;
use hence::{Hence, Telling};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("app.db");
    let pool = SqlitePoolOptions::new().connect_with(SqliteConnectOptions::new().filename(&path).create_if_missing(true)).await?;
    sqlx::query("create table account (id integer primary key)").execute(&pool).await?;
    let hence = Hence::builder().sqlite(&path).client().await?;

    for (id, commits) in [(1, true), (2, false)] {
        let entity = format!("account/{id}").parse()?;
        let statement = hence.statement(Telling::event(entity, "account.created".parse()?, Value::Null, Value::Null)).await?;
        let mut transaction = pool.begin().await?;
        sqlx::query("insert into account (id) values (?1)").bind(id).execute(&mut *transaction).await?;
        sqlx::query(statement.sql).bind(&statement.value).execute(&mut *transaction).await?;
        if commits { transaction.commit().await? } else { transaction.rollback().await? }
    }
    hence.settle(10).await?;

    let (version, accounts): (String, i64) =
        sqlx::query_as("select sqlite_version(), (select count(*) from account)").fetch_one(&pool).await?;
    let told = [hence.history("account/1").await?.len(), hence.history("account/2").await?.len()];
    anyhow::ensure!((accounts, told) == (1, [1, 0]), "{accounts} accounts and {told:?} records are not 1 and [1, 0]");
    println!("sqlx and Hence share SQLite {version}; {accounts} account and its event are there, what was rolled back is not");
    Ok(())
}
