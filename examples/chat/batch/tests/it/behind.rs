//! Goal: what happens behind Hence's back heals where the definition says so, and then both ways agree again. Method: rows written into
//! and deleted from the application's own tables, and torn out of Hence's store, while both worlds run; the jobs read the tables, so
//! they are the measure.

use std::collections::BTreeSet;

use hence::store::port::{PageRequest, UpcomingFilter};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use crate::world::{BatchWorld, Effect, HenceWorld, START, entity, trial};

/// The audit of the trial: everybody whose trial may still have something ahead.
const AUDIT: &str = r#"
[audit]
every   = "3 hours"
source  = "app"
expect  = "select id, created_at from account where status in ('trial', 'deactivated') and paid_at is null"
missing = "enrol"
extra   = "cancel"
"#;
const ZONES: [&str; 5] = ["Europe/Oslo", "America/New_York", "Asia/Tokyo", "Pacific/Auckland", "UTC"];

fn insert(database: &Connection, id: i64, created_at: Timestamp) {
    let zone = ZONES[usize::try_from(id).unwrap() % ZONES.len()];
    let row = "insert into account (id, email, timezone, created_at, trial_days, status) values (?1, ?2, ?3, ?4, 30, 'trial')";
    database.execute(row, (id, format!("a{id}@example.com"), zone, format!("{created_at:.3}"))).unwrap();
}

fn delete(database: &Connection, id: i64) {
    database.execute("delete from account where id = ?1", [id]).unwrap();
}

/// Tears everything that waits for these accounts out of the store.
async fn tear_out(hence: &HenceWorld, accounts: std::ops::Range<i64>) {
    let store = Connection::open(hence.folder.path().join("hence.db")).unwrap();
    for account in accounts {
        let filter = UpcomingFilter { entity: Some(entity(account)), ..UpcomingFilter::default() };
        for task in hence.client.store().upcoming(&filter, PageRequest::first(10)).await.unwrap().items {
            assert_eq!(store.execute("delete from hence_live where id = ?1", [task.id.0]), Ok(1));
            assert_eq!(store.execute("delete from hence_body where id = ?1", [task.id.0]), Ok(1));
        }
    }
}

fn shown(effects: &BTreeSet<Effect>) -> BTreeSet<(i64, Date, String)> {
    effects.iter().map(|effect| (effect.account, effect.on, effect.what.clone())).collect()
}

/// Lets both worlds live to that instant, the jobs each hour.
async fn live(hence: &HenceWorld, batch: &mut BatchWorld, from: Timestamp, until: Timestamp) {
    let mut at = from;
    while at <= until {
        batch.night(at);
        at += SignedDuration::from_hours(1);
    }
    hence.arrive(until).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_inserted_deleted_and_torn_out_heal_by_the_audit() {
    let start: Timestamp = START.parse().unwrap();
    let later = |hours: i64| start + SignedDuration::from_hours(hours);
    let hence = HenceWorld::new(&trial(AUDIT)).await;
    let mut batch = BatchWorld::new().await;
    let both = [hence.database(), Connection::open(batch.database.path().unwrap()).unwrap()];
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    // Twenty are there before the engine's first audit, ten come in the course of days; Hence is told of none.
    for database in &both {
        (1..=20).for_each(|id| insert(database, id, later(-id)));
    }
    live(&hence, &mut batch, start, later(50)).await;
    for database in &both {
        (21..=30).for_each(|id| insert(database, id, later(25 + id)));
        // Three leave no row behind, one before and two after they were reminded.
        delete(database, 4);
    }
    live(&hence, &mut batch, later(51), later(24 * 10)).await;
    tear_out(&hence, 10..14).await;
    live(&hence, &mut batch, later(24 * 10 + 1), later(24 * 28)).await;
    for database in &both {
        database.execute("delete from trial_mail where account_id in (5, 6)", ()).ok();
        [5, 6].iter().for_each(|id| delete(database, *id));
    }
    live(&hence, &mut batch, later(24 * 28 + 1), later(24 * 40)).await;
    let (by_hence, by_batch) = (shown(&hence.end(&http).await), shown(&batch.end().await));
    assert_eq!(by_hence, by_batch);
    // 27 live to their end: a reminder, a switch-off and the mail about it; two more were reminded.
    assert_eq!(by_batch.len(), 27 * 3 + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_audit_what_was_never_told_never_happens() {
    let start: Timestamp = START.parse().unwrap();
    let hence = HenceWorld::new(&trial("")).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    insert(&hence.database(), 1, start);
    hence.arrive(start + SignedDuration::from_hours(24 * 40)).await;
    assert_eq!(hence.end(&http).await, BTreeSet::new());
}
