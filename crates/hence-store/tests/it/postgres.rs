//! Goal: what only a database that many share can do or suffer. Method: several stores on one database, plain SQL beside them, a schema that is
//! newer, foreign or gone, a server that goes away.

use std::sync::Arc;

use futures::future::join_all;
use hence_core::history::RecordKind;
use hence_core::timeline::ChangeSet;
use hence_servers::postgres::{Options, Server, Stop};
use hence_store::conformance::fixture::{Bench, at, cancel, change, done, end, entity, event, note, record};
use hence_store::port::{
    Acceptance, ClockSetting, Conflict, HistoryFilter, InboxEntry, PageRequest, StartRequest, UpcomingFilter, Written,
};
use hence_store::postgres::{PostgresOptions, PostgresStore};
use hence_store::{ErrorKind, OpenMode, Store};

use crate::sites::InPostgres;

async fn refused(url: &str, mode: OpenMode) -> ErrorKind {
    match PostgresStore::open(url, PostgresOptions::new(mode)).await {
        Ok(_) => panic!("the store was opened"),
        Err(error) => error.kind().clone(),
    }
}

#[tokio::test]
async fn a_missing_store_is_made_only_when_asked_for() {
    let server = Server::shared().unwrap();
    let database = server.new_database().unwrap();
    assert_eq!(refused(&database.url, OpenMode::Existing).await, ErrorKind::Missing);
    assert_eq!(refused(&database.url, OpenMode::ReadOnly).await, ErrorKind::Missing);
    assert_eq!(server.psql(&database.url, "select to_regnamespace('hence') is null").unwrap().trim(), "t", "nothing was written");
    assert_eq!(refused(&format!("{}_gone", database.url), OpenMode::Create).await, ErrorKind::Missing);
    let made = PostgresStore::open(&database.url, PostgresOptions::new(OpenMode::Create)).await.unwrap();
    assert_eq!(made.migrate().await.unwrap(), Vec::<u32>::new(), "twice changes nothing");
    let opened = PostgresStore::open(&database.url, PostgresOptions::new(OpenMode::Existing)).await.unwrap();
    assert_eq!(opened.identity().await.unwrap(), made.identity().await.unwrap());
    assert_eq!(opened.identity().await.unwrap().shards, 64);
    let ClockSetting::Database { now } = opened.clock().await.unwrap() else { panic!("the clock is the database's") };
    let shown: i64 = server.psql(&database.url, "select hence.clock()").unwrap().trim().parse().unwrap();
    assert!(now.as_microsecond() <= shown, "it was asked before");
}

#[tokio::test]
async fn many_processes_make_one_store_together() {
    let database = Server::shared().unwrap().new_database().unwrap();
    let opened = (0..6).map(|_| PostgresStore::open(&database.url, PostgresOptions::new(OpenMode::Create)));
    let stores: Vec<PostgresStore> = join_all(opened).await.into_iter().map(Result::unwrap).collect();
    let ids = join_all(stores.iter().map(|store| store.identity())).await;
    assert!(ids.iter().all(|id| id.as_ref().unwrap() == ids[0].as_ref().unwrap()));
}

#[tokio::test]
async fn a_newer_or_foreign_schema_is_refused_before_any_write() {
    let site = InPostgres::new(8);
    site.sql("insert into hence.migration values (1000, 0)");
    let before = site.sql("select count(*), max(number) from hence.migration");
    for mode in [OpenMode::Create, OpenMode::Existing, OpenMode::ReadOnly] {
        assert_eq!(refused(&site.url(), mode).await, ErrorKind::NewerSchema { found: 1000, known: 5 });
    }
    assert_eq!(site.sql("select count(*), max(number) from hence.migration"), before);
    let foreign = Server::shared().unwrap().new_database().unwrap();
    let server = Server::shared().unwrap();
    server.psql(&foreign.url, "create schema hence; create table hence.store (id int)").unwrap();
    assert_eq!(refused(&foreign.url, OpenMode::Create).await, ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_store_that_is_only_read_refuses_writes() {
    let site = InPostgres::new(8);
    let bench = Bench { store: Arc::new(site.store()) };
    bench.enrol("account/1", &[("remind", 100)]).await;
    let reading = PostgresStore::open(&site.url(), PostgresOptions::new(OpenMode::ReadOnly)).await.unwrap();
    let found = reading.upcoming(&UpcomingFilter::default(), PageRequest::first(10)).await.unwrap();
    assert_eq!(found.items.len(), 1);
    assert_eq!(reading.accept(vec![event(&entity("account/1"), "x")], at(0)).await.unwrap_err().kind(), &ErrorKind::ReadOnly);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_write_about_the_same_entities_without_deadlocks() {
    let site = InPostgres::new(8);
    let stores: Vec<Arc<PostgresStore>> = (0..4).map(|_| Arc::new(site.store())).collect();
    let calls = (0..200_usize).map(|number| {
        let store = Arc::clone(&stores[number % 4]);
        async move {
            // The same entities in another order each time.
            let names = (0..20_usize).map(|of| entity(&format!("account/{}", (of * 7 + number * 3) % 20)));
            let sets: Vec<ChangeSet> = names
                .map(|of| {
                    let mut changes = ChangeSet::new(of.clone());
                    changes.records.push(record(&of, RecordKind::Event, at(0), note("told")));
                    changes
                })
                .collect();
            let wishes = sets.iter().map(|set| event(&set.entity, "account.paid")).collect();
            let (written, accepted) = futures::join!(store.write(None, sets, at(0)), store.accept(wishes, at(0)));
            assert!(written.unwrap().iter().all(|written| *written == Written::Applied));
            assert_eq!(accepted.unwrap().len(), 20);
        }
    });
    join_all(calls).await;
    let totals = stores[0].totals().await.unwrap();
    assert_eq!((totals.entities, totals.wishes), (20, 4000));
    assert_eq!(site.sql("select count(*) from hence.record"), "4000");
    assert_eq!(site.sql("select deadlocks from pg_stat_database where datname = current_database()"), "0");
}

#[tokio::test]
async fn a_key_told_by_many_at_once_is_accepted_once() {
    let site = InPostgres::new(8);
    let stores: Vec<PostgresStore> = (0..3).map(|_| site.store()).collect();
    let mut wish = event(&entity("account/1"), "account.paid");
    wish.key = Some("pay-1".to_owned());
    let told = (0..30).map(|number: usize| stores[number % 3].accept(vec![wish.clone()], at(0)));
    let answers: Vec<Acceptance> = join_all(told).await.into_iter().map(|answer| answer.unwrap()[0]).collect();
    let new = answers.iter().filter(|answer| matches!(answer, Acceptance::Accepted { is_duplicate: false, .. }));
    assert_eq!(new.count(), 1);
    assert_eq!(stores[0].wishes(None, at(0), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_wish_in_a_transaction_of_the_users_prevents_the_start_once_it_is_committed() {
    let site = InPostgres::new(8);
    let bench = Bench { store: Arc::new(site.store()) };
    for number in 1..=2 {
        bench.enrol(&format!("account/{number}"), &[("remind", 100)]).await;
    }
    let lease = bench.lease().await;
    let (mut user, connection) = tokio_postgres::connect(&site.database.url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let insert = "insert into hence.wish (entity, at, actor, body) select id, 0, 'app', '{}' from hence.entity where key = $1";
    // Rolled back: as if nothing had been told.
    let transaction = user.transaction().await.unwrap();
    transaction.execute(insert, &[&"account/1"]).await.unwrap();
    transaction.rollback().await.unwrap();
    let transaction = user.transaction().await.unwrap();
    transaction.execute(insert, &[&"account/2"]).await.unwrap();
    transaction.commit().await.unwrap();
    let started = bench.start(&lease, 200, 10).await;
    assert_eq!(started.iter().map(|task| task.entity.to_string()).collect::<Vec<_>>(), ["account/1"]);
    assert_eq!(bench.store.totals().await.unwrap().wishes, 1, "it is counted");
    drop(user);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_database_has_the_last_word_on_what_is_due() {
    let site = InPostgres::new(8);
    let bench = Bench { store: Arc::new(site.store()) };
    bench.enrol("account/1", &[("remind", 1_000)]).await;
    let lease = bench.lease().await;
    // A node whose clock runs ahead asks for what is not due by the store's clock.
    let early = ClockSetting::Virtual { now: at(999), target: at(2_000) };
    bench.store.set_clock(early).await.unwrap();
    assert_eq!(bench.start(&lease, 5_000, 10).await, []);
    bench.store.set_clock(ClockSetting::Virtual { now: at(1_000), target: at(2_000) }).await.unwrap();
    assert_eq!(bench.start(&lease, 5_000, 10).await.len(), 1);
}

#[tokio::test]
async fn a_start_passes_by_what_a_user_holds_and_a_cancel_holds() {
    let site = InPostgres::new(8);
    let bench = Bench { store: Arc::new(site.store()) };
    let held = bench.enrol("account/1", &[("remind", 100)]).await.remove(0);
    let other = bench.enrol("account/2", &[("remind", 101)]).await.remove(0);
    let lease = bench.lease().await;
    let (mut user, connection) = tokio_postgres::connect(&site.database.url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let transaction = user.transaction().await.unwrap();
    transaction.execute("select id from hence.live where id = $1 for update", &[&held.id.0]).await.unwrap();
    let started = bench.start(&lease, 200, 10).await;
    assert_eq!(started.iter().map(|task| task.id).collect::<Vec<_>>(), [other.id], "nobody waits for the user");
    transaction.rollback().await.unwrap();
    bench.write(change(&held, cancel(), at(200)), at(200)).await;
    assert_eq!(bench.start(&lease, 200, 10).await, []);
    drop(user);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn one_row_that_cannot_be_stored_hurts_its_own_change_set_only() {
    let site = InPostgres::new(8);
    let bench = Bench { store: Arc::new(site.store()) };
    let tasks = bench.enrol("account/1", &[("remind", 100)]).await;
    let line = bench.store.snapshots(&[entity("account/1")]).await.unwrap().remove(0).timelines.remove(0);
    let mut long = ChangeSet::new(entity("account/1"));
    let mut task = tasks[0].clone();
    task.id.0 = bench.ids(1).await[0];
    // More than an entry of an index can hold, of a text that does not compress.
    let mut random = 1_u64;
    let mut letter = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from(random >> 60).unwrap())
    };
    task.occurrence = (0..40_000).map(|_| letter()).collect();
    task.timeline = Some(line.id);
    long.created.push(task);
    let fine = |of: &str| {
        let mut changes = ChangeSet::new(entity(of));
        changes.records.push(record(&entity(of), RecordKind::Event, at(1), note("a\0b")));
        changes
    };
    let answers = bench.store.write(None, vec![fine("account/2"), long, fine("account/3")], at(1)).await.unwrap();
    assert_eq!((&answers[0], &answers[2]), (&Written::Applied, &Written::Applied));
    assert!(matches!(&answers[1], Written::Conflict(Conflict::Invalid(_))), "{:?}", answers[1]);
    assert_eq!(bench.store.totals().await.unwrap().entities, 3);
    assert_eq!(bench.history(&HistoryFilter::default(), 10).await.len(), 3);
}

#[tokio::test]
async fn a_dropped_caller_leaves_no_transaction_behind() {
    let site = InPostgres::new(8);
    let store = site.store();
    store.identity().await.unwrap();
    for number in 0..40_u32 {
        let of = entity(&format!("account/{number}"));
        let mut call = Box::pin(store.accept(vec![event(&of, "account.paid")], at(0)));
        // Given up after so many looks at it.
        for _ in 0..number % 5 + 1 {
            let _ = futures::poll!(&mut call);
            tokio::task::yield_now().await;
        }
        drop(call);
    }
    // Whatever was begun goes on by itself, and comes to its end while others are served.
    let open = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'";
    let mut rounds = 0;
    while site.sql(open) != "0" {
        let reads = join_all((0..32).map(|_| store.totals())).await;
        assert!(reads.iter().all(Result::is_ok));
        rounds += 1;
        assert!(rounds < 100, "a transaction stays open");
    }
    let totals = store.totals().await.unwrap();
    assert_eq!(totals.entities, totals.wishes, "each call was carried out or not begun");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_and_comes_back_is_used_again_without_a_restart() {
    let server = Server::start(&Options::default()).unwrap();
    let database = server.new_database().unwrap();
    let store = Arc::new(PostgresStore::open(&database.url, PostgresOptions::new(OpenMode::Create)).await.unwrap());
    let bench = Bench { store: store.clone() };
    bench.enrol("account/1", &[("remind", 100)]).await;
    let lease = bench.lease().await;
    // Cut off one by one.
    server.psql(&database.admin_url, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'hence'").unwrap();
    // A connection whose end had not arrived when the call took it fails that call; each of them does so at most once.
    let mut started = Err(ErrorKind::Unavailable);
    for _ in 0..8 {
        let request = StartRequest { now: at(200), from: None, to: at(200), limit: 1 };
        started = store.start(&lease, request).await.map_err(|error| error.kind().clone());
        if started != Err(ErrorKind::Unavailable) {
            break;
        }
    }
    let task = started.unwrap().remove(0);
    server.halt(Stop::Immediate).unwrap();
    let error = store.write(Some(&lease), vec![change(&task, end(&task, done()), at(201))], at(201)).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable);
    server.start_again().unwrap();
    let written = store.write(Some(&lease), vec![change(&task, end(&task, done()), at(201))], at(201)).await.unwrap();
    assert_eq!(written, [Written::Applied], "what was committed before the crash is there");
}

#[tokio::test]
async fn a_wish_that_cannot_be_read_does_not_block_the_inbox() {
    let site = InPostgres::new(8);
    let bench = Bench { store: Arc::new(site.store()) };
    let of = entity("account/1");
    bench.store.accept(vec![event(&of, "one"), event(&of, "two")], at(0)).await.unwrap();
    // What a caller in SQL can put there: a lone surrogate, which is JSON for some and not for us.
    site.sql(r#"update hence.wish set body = '{"wish":"\ud800"}' where id = 1"#);
    let wishes = bench.store.wishes(None, at(0), 10).await.unwrap();
    assert!(matches!(&wishes[0], InboxEntry::Unreadable { .. }), "{:?}", wishes[0]);
    assert!(matches!(&wishes[1], InboxEntry::Wish(_)));
    let mut changes = ChangeSet::new(of.clone());
    changes.carried_out.push(wishes[0].id());
    changes.records.push(record(&of, RecordKind::Refused, at(1), note("unreadable")));
    bench.write(changes, at(1)).await;
    assert_eq!(bench.store.wishes(None, at(0), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn empty_parts_of_history_are_dropped_and_made_again() {
    let site = InPostgres::new(8);
    let bench = Bench { store: Arc::new(site.store()) };
    let parts = || site.sql("select count(*) from pg_inherits where inhparent = 'hence.record'::regclass");
    let month = 31 * 24 * 3600;
    for number in 0..3 {
        let of = entity(&format!("account/{number}"));
        let mut changes = ChangeSet::new(of.clone());
        changes.records.push(record(&of, RecordKind::Event, at(0), note("told")));
        bench.write(changes, at(number * month)).await;
    }
    assert_eq!(parts(), "3");
    assert_eq!(bench.store.prune(at(2 * month), 10).await.unwrap(), 2);
    assert_eq!(bench.store.prune(at(2 * month), 10).await.unwrap(), 0);
    assert_eq!(parts(), "1");
    assert_eq!(bench.history(&HistoryFilter::default(), 10).await.len(), 1);
}

#[tokio::test]
async fn folded_counters_say_the_same() {
    let site = InPostgres::new(8);
    let bench = Bench { store: Arc::new(site.store()) };
    for number in 0..5 {
        let task = bench.enrol(&format!("account/{number}"), &[("remind", 100), ("expire", 4000)]).await.remove(0);
        bench.write(change(&task, cancel(), at(1)), at(1)).await;
    }
    let before = bench.store.totals().await.unwrap();
    let texts = ["counter/fold_lock", "counter/fold", "counter/fold_tallies", "counter/drop"];
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/postgres");
    for text in texts {
        site.sql(&std::fs::read_to_string(folder.join(format!("{text}.sql"))).unwrap());
    }
    assert_eq!(site.sql("select count(*) from hence.counter_change"), "0");
    assert_eq!(bench.store.totals().await.unwrap(), before);
    assert_eq!((before.entities, before.finished.get("cancelled")), (5, Some(&5)));
}
