//! Goal: facts of a user's PostgreSQL database are read together, read only, each entity's own trouble its own. Method: a table of accounts in a
//! real database; readings at once, wrong ids, second rows and writes. How many queries were asked, the rows themselves say.

use std::collections::BTreeSet;

use futures::future::join_all;
use hence_servers::postgres::{Database, Server};
use hence_store::postgres::PostgresFacts;
use serde_json::{Value, json};

fn accounts() -> (Database, PostgresFacts) {
    let database = Server::shared().unwrap().new_database().unwrap();
    let made = "create table account (id bigint primary key, email text, paid_at timestamptz, hits numeric, is_on boolean);
        insert into account select n, n || '@example.com', case when n = 7 then timestamptz '2026-03-02 10:00+01' end, n / 2.0, n % 2 = 0 from generate_series(1, 300) as n";
    Server::shared().unwrap().psql(&database.url, made).unwrap();
    let facts = PostgresFacts::new(&database.url).unwrap();
    (database, facts)
}

#[tokio::test]
async fn a_row_becomes_an_object() {
    let (_database, facts) = accounts();
    let sql = "select email, paid_at, hits, is_on, null as nothing from account where id = $1;";
    let row = facts.read(sql, "7").await.unwrap().unwrap();
    let expected = json!({ "email": "7@example.com", "paid_at": "2026-03-02T09:00:00+00:00", "hits": 3.5, "is_on": false, "nothing": null });
    assert_eq!(Value::Object(row), expected);
    assert_eq!(facts.read(sql, "301").await.unwrap(), None);
    let rows = facts.rows("select id, email from account where id < 3 order by id").await.unwrap();
    let row = |id: i64| vec![("id".to_owned(), json!(id)), ("email".to_owned(), json!(format!("{id}@example.com")))];
    assert_eq!(rows, [row(1), row(2)]);
}

#[tokio::test]
async fn readings_at_the_same_moment_are_asked_together() {
    let (_database, facts) = accounts();
    let sql = "select id, statement_timestamp() as asked_at from account where id = $1";
    let ids: Vec<String> = (1..=320).map(|id| id.to_string()).collect();
    let read = join_all(ids.iter().map(|id| facts.read(sql, id))).await;
    let mut queries = BTreeSet::new();
    for (id, row) in (1..).zip(read) {
        match row.unwrap() {
            Some(row) => {
                assert_eq!(row["id"], json!(id));
                queries.insert(row["asked_at"].to_string());
            }
            None => assert!(id > 300),
        }
    }
    assert!(queries.len() <= 8, "{} queries for 300 rows", queries.len());
}

#[tokio::test]
async fn what_is_wrong_with_one_entity_hurts_no_other() {
    let (_database, facts) = accounts();
    let sql = "select a.email from account as a where a.id = $1 union all select 'again' where $1 = 3";
    let said: Vec<String> = join_all(["1", "abc", "3", "4"].map(|id| facts.read(sql, id)))
        .await
        .into_iter()
        .map(|read| match read {
            Ok(row) => Value::from(row.unwrap_or_default()).to_string(),
            Err(error) => error.to_string().split(": ").skip(1).collect::<Vec<_>>().join(": ") + &format!("{:?}", error.kind()),
        })
        .collect();
    assert_eq!(said[0], r#"{"email":"1@example.com"}"#);
    assert_eq!(said[1], "invalid input syntax for type bigint: \"abc\"Invalid");
    assert_eq!(said[2], "Invalid", "a second row");
    assert_eq!(said[3], r#"{"email":"4@example.com"}"#);
}

#[tokio::test]
async fn nothing_can_be_written_and_no_query_goes_on_for_long() {
    let (database, facts) = accounts();
    let function = "create function pay(bigint) returns bigint language sql as 'update account set is_on = true where id = $1 returning id'";
    Server::shared().unwrap().psql(&database.url, function).unwrap();
    let refused = facts.read("select pay($1)", "1").await.unwrap_err().to_string();
    assert!(refused.contains("read-only transaction"), "{refused}");
    assert!(facts.rows("delete from account").await.is_err());
    assert!(facts.read("select 1; delete from account", "1").await.is_err());
    let bound = facts.read("select current_setting('statement_timeout') as bound where $1 <> ''", "1").await.unwrap().unwrap();
    assert_eq!(bound["bound"], json!("5s"));
    assert_eq!(facts.rows("select id from account").await.unwrap().len(), 300, "and a failed reading leaves nothing behind");
}
