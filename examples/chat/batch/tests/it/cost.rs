//! Goal: what rows cost, counted. Method: the same silent accounts live through their trial in both worlds; the size of the files with
//! free pages taken out, and the rows, before the trials end and after.

use std::path::Path;

use hence::{Enrolment, Telling};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde_json::json;

use crate::world::{BatchWorld, HenceWorld, START, entity, trial};

const ACCOUNTS: i64 = 150;

/// Bytes of all pages of a database that are in use.
fn bytes(database: &Path) -> i64 {
    let connection = Connection::open(database).unwrap();
    connection.query_row("pragma wal_checkpoint(full)", (), |_| Ok(())).unwrap();
    let pragma = |name: &str| -> i64 { connection.query_row(&format!("pragma {name}"), (), |row| row.get(0)).unwrap() };
    (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")
}

fn rows(database: &Path, tables: &[&str]) -> i64 {
    let connection = Connection::open(database).unwrap();
    let count =
        |table: &&str| -> i64 { connection.query_row(&format!("select count(*) from {table}"), (), |row| row.get(0)).unwrap() };
    tables.iter().map(count).sum()
}

fn insert(database: &Connection, id: i64) {
    let row = "insert into account (id, email, timezone, created_at, trial_days, status) values (?1, ?2, 'Europe/Oslo', ?3, 30, 'trial')";
    database.execute(row, (id, format!("a{id}@example.com"), "2026-03-02T08:00:00.000Z")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_cost_a_few_kilobytes_an_account() {
    let start: Timestamp = START.parse().unwrap();
    let end = start + SignedDuration::from_hours(24 * 35);
    let hence = HenceWorld::new(&trial("")).await;
    let mut batch = BatchWorld::new().await;
    let (by_hence, by_batch) = (hence.folder.path().join("hence.db"), Path::new(batch.database.path().unwrap()).to_owned());
    let empty = (bytes(&by_hence), bytes(&by_batch));
    for database in [&hence.database(), &batch.database] {
        database.execute("begin", ()).unwrap();
        (1..=ACCOUNTS).for_each(|id| insert(database, id));
        database.execute("commit", ()).unwrap();
    }
    let accounts = bytes(&by_batch);
    let enrolments = (1..=ACCOUNTS).map(|id| {
        let facts = json!({ "account": { "email": format!("a{id}@example.com"), "timezone": "Europe/Oslo", "status": "trial" } });
        Telling::enrol(
            Enrolment::new("trial".parse().unwrap(), entity(id)).given("created_at".parse().unwrap(), start).facts(facts),
        )
    });
    hence.client.tell_many(enrolments.collect()).await.unwrap();
    let waiting = bytes(&by_hence);
    let waiting_rows = rows(&by_hence, &["hence_entity", "hence_timeline", "hence_live", "hence_body", "hence_history"]);
    hence.arrive(end).await;
    let over = bytes(&by_hence);
    let over_rows = rows(&by_hence, &["hence_entity", "hence_timeline", "hence_live", "hence_body", "hence_history"]);
    let mut at = start;
    while at <= end {
        batch.night(at);
        at += SignedDuration::from_hours(24);
    }
    let (marked, mark_rows) = (bytes(&by_batch), rows(&by_batch, &["trial_mail", "trial_end"]));
    let each = |bytes: i64| bytes / ACCOUNTS;
    println!(
        "bytes an account: Hence {} while its trial waits and {} when it is over; the jobs {} of marks. \
         Rows an account: Hence {:.1} and {:.1}, the jobs {:.1}.",
        each(waiting - empty.0),
        each(over - empty.0),
        each(marked - accounts),
        waiting_rows as f64 / ACCOUNTS as f64,
        over_rows as f64 / ACCOUNTS as f64,
        mark_rows as f64 / ACCOUNTS as f64,
    );
    assert!(each(over - empty.0) < 6_000 && each(marked - accounts) < 600);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(hence.end(&http).await.len(), batch.end().await.len());
}
