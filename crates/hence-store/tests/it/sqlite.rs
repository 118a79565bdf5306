//! Goal: what only a file can do or suffer. Method: several stores on one file, a second connection that meddles, a file that is full,
//! newer, foreign or gone.

use std::sync::Arc;

use futures::future::join_all;
use hence_core::history::RecordKind;
use hence_core::timeline::ChangeSet;
use hence_store::conformance::erasing::{MARKER, tell_marker};
use hence_store::conformance::fixture::{Bench, at, beat, change, done, end, entity, event, note, own_all, record};
use hence_store::port::{
    Acceptance, HistoryFilter, InboxEntry, Life, Ownership, PageRequest, StartRequest, UpcomingFilter, Written,
};
use hence_store::sqlite::{OpenMode, SqliteOptions};
use hence_store::{ErrorKind, SqliteStore, Store};
use rusqlite::Connection;

use crate::sites::InFile;

fn refused(site: &InFile, mode: OpenMode) -> ErrorKind {
    match SqliteStore::open(&site.path(), SqliteOptions::new(mode)) {
        Ok(_) => panic!("the store was opened"),
        Err(error) => error.kind().clone(),
    }
}

#[test]
fn a_missing_store_is_made_only_when_asked_for() {
    let site = InFile::new();
    assert_eq!(refused(&site, OpenMode::Existing), ErrorKind::Missing);
    assert_eq!(refused(&site, OpenMode::ReadOnly), ErrorKind::Missing);
    assert!(!site.path().exists());
    std::fs::write(site.path(), "").unwrap();
    assert_eq!(refused(&site, OpenMode::Existing), ErrorKind::Missing, "an empty file is no store");
    drop(site.store());
    assert!(SqliteStore::open(&site.path(), SqliteOptions::new(OpenMode::Existing)).is_ok());
}

#[test]
fn a_newer_schema_is_refused_before_any_write() {
    let site = InFile::new();
    drop(site.store());
    let meddler = Connection::open(site.path()).unwrap();
    meddler.execute("update hence_store set schema_version = 1000", []).unwrap();
    drop(meddler);
    let before = std::fs::read(site.path()).unwrap();
    for mode in [OpenMode::Create, OpenMode::Existing, OpenMode::ReadOnly] {
        assert_eq!(refused(&site, mode), ErrorKind::NewerSchema { found: 1000, known: 4 });
    }
    assert_eq!(std::fs::read(site.path()).unwrap(), before);
}

#[test]
fn a_foreign_file_is_refused_before_any_write() {
    let site = InFile::new();
    let foreign = Connection::open(site.path()).unwrap();
    foreign.execute_batch("create table account (id integer primary key)").unwrap();
    drop(foreign);
    let before = std::fs::read(site.path()).unwrap();
    assert_eq!(refused(&site, OpenMode::Create), ErrorKind::Corrupt);
    assert_eq!(std::fs::read(site.path()).unwrap(), before);
    std::fs::write(site.path(), "this is a text, not a database; ".repeat(100)).unwrap();
    assert_eq!(refused(&site, OpenMode::Create), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_store_that_is_only_read_refuses_writes() {
    let site = InFile::new();
    let bench = Bench { store: Arc::new(site.store()) };
    bench.enrol("account/1", &[("remind", 100)]).await;
    let reading = SqliteStore::open(&site.path(), SqliteOptions::new(OpenMode::ReadOnly)).unwrap();
    let found = reading.upcoming(&UpcomingFilter::default(), PageRequest::first(10)).await.unwrap();
    assert_eq!(found.items.len(), 1);
    assert_eq!(reading.accept(vec![event(&entity("account/1"), "x")], at(0)).await.unwrap_err().kind(), &ErrorKind::ReadOnly);
    assert_eq!(reading.beat(&beat("two", 0)).await.unwrap_err().kind(), &ErrorKind::ReadOnly);
}

#[test]
fn many_processes_make_one_store_together() {
    let site = InFile::new();
    let ids = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| site.store())).collect();
        let stores: Vec<SqliteStore> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let ids = join_all(stores.iter().map(|store| store.identity())).await;
            ids.into_iter().map(|identity| identity.unwrap().store_id).collect::<Vec<_>>()
        })
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_write_at_once_and_lose_nothing() {
    let site = InFile::new();
    let stores: Vec<Arc<SqliteStore>> = (0..3).map(|_| Arc::new(site.store())).collect();
    let calls = (0..300).map(|number| {
        let store = Arc::clone(&stores[number % 3]);
        async move { store.accept(vec![event(&entity(&format!("account/{}", number % 7)), "account.paid")], at(0)).await.unwrap() }
    });
    let mut ids: Vec<_> = join_all(calls)
        .await
        .concat()
        .into_iter()
        .map(|accepted| match accepted {
            Acceptance::Accepted { id, is_duplicate: false } => id,
            other => panic!("{other:?}"),
        })
        .collect();
    ids.sort_unstable();
    let stored: Vec<_> = stores[0].wishes(None, at(0), 1000).await.unwrap().iter().map(InboxEntry::id).collect();
    assert_eq!(ids, stored);
    assert_eq!(stored.len(), 300);
    assert_eq!(stores[1].totals().await.unwrap().wishes, 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_calls_share_commits_and_each_gets_its_own_answer() {
    let site = InFile::new();
    let bench = Bench { store: Arc::new(site.store()) };
    let task = bench.enrol("account/1", &[("remind", 100)]).await.remove(0);
    let outdated = bench.lease().await;
    let lease = bench.lease().await;
    // While the lock is held elsewhere, calls gather.
    let meddler = Connection::open(site.path()).unwrap();
    meddler.execute_batch("begin immediate").unwrap();
    let store = &bench.store;
    let good = (0..50).map(|number| async move {
        let of = entity(&format!("order/{number}"));
        let mut changes = ChangeSet::new(of.clone());
        changes.records.push(record(&of, RecordKind::Event, at(0), note("told")));
        store.write(None, vec![changes], at(0)).await.unwrap()
    });
    let bad = (0..10).map(|_| async {
        let request = StartRequest { now: at(100), from: None, to: at(100), limit: 1 };
        store.start(&outdated, request).await.unwrap()
    });
    let release = async {
        tokio::task::yield_now().await;
        meddler.execute_batch("commit").unwrap();
    };
    let (good, bad, ()) = futures::join!(join_all(good), join_all(bad), release);
    assert!(good.iter().all(|written| *written == [Written::Applied]));
    assert!(bad.iter().all(Vec::is_empty), "an outdated lease starts nothing");
    assert_eq!(bench.store.totals().await.unwrap().entities, 51);
    assert_eq!(bench.start(&lease, 100, 1).await[0].id, task.id);
}

#[tokio::test]
async fn a_lock_held_elsewhere_is_an_error_that_says_so() {
    let mut site = InFile::new();
    site.options.busy_timeout = std::time::Duration::from_millis(1);
    let store = site.store();
    let meddler = Connection::open(site.path()).unwrap();
    meddler.execute_batch("begin immediate").unwrap();
    let error = store.accept(vec![event(&entity("account/1"), "x")], at(0)).await.unwrap_err();
    assert_eq!((error.kind(), error.definite()), (&ErrorKind::Busy, true));
    assert_eq!(store.wishes(None, at(0), 10).await.unwrap(), [], "reading goes on");
    meddler.execute_batch("rollback").unwrap();
    store.accept(vec![event(&entity("account/1"), "x")], at(0)).await.unwrap();
    assert_eq!(store.wishes(None, at(0), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_killed_engine_leaves_all_that_it_was_told_is_written() {
    let site = InFile::new();
    let bench = Bench { store: Arc::new(site.store()) };
    for number in 0..20 {
        bench.enrol(&format!("account/{number}"), &[("remind", 100)]).await;
    }
    let lease = bench.lease().await;
    let started = bench.start(&lease, 100, 5).await;
    let ended = change(&started[0], end(&started[0], done()), at(101));
    bench.write(ended, at(101)).await;
    // A kill leaves the files as they are: a copy of them, made while the store is open, is what the next process finds.
    let copy = InFile::new();
    for end in ["", "-wal"] {
        let of = |site: &InFile| format!("{}{end}", site.path().display());
        std::fs::copy(of(&site), of(&copy)).unwrap();
    }
    let next = Bench { store: Arc::new(copy.store()) };
    let taken = own_all(next.store.as_ref(), "two").await;
    assert!(taken.shards[0].epoch > started[4].fence);
    assert_eq!(next.store.orphans(&taken, 10).await.unwrap(), started[1..]);
    assert_eq!(next.start(&taken, 102, 1000).await.len(), 15);
    assert_eq!(next.store.totals().await.unwrap().finished.get("done"), Some(&1));
    let check: String = Connection::open(copy.path()).unwrap().query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test]
async fn a_full_disk_writes_nothing_by_halves() {
    let mut site = InFile::new();
    drop(site.store());
    site.options.file_bytes_max = Some(400_000);
    let bench = Bench { store: Arc::new(site.store()) };
    let mut told = 0;
    let error = loop {
        let of = entity(&format!("account/{told}"));
        let mut changes = ChangeSet::new(of.clone());
        changes.records = (0..20).map(|_| record(&of, RecordKind::Event, at(0), note(&"x".repeat(500)))).collect();
        match bench.store.write(None, vec![changes], at(0)).await {
            Ok(written) => assert_eq!(written, [Written::Applied]),
            Err(error) => break error,
        }
        told += 1;
        assert!(told < 1000, "the file is full at last");
    };
    assert_eq!((error.kind(), error.definite()), (&ErrorKind::DiskFull, true));
    let rows = bench.history(&HistoryFilter::default(), 1000).await;
    assert_eq!(rows.len(), told * 20, "the last one is not there by halves");
    assert_eq!(bench.store.totals().await.unwrap().entities, told as u64);
    // Once there is room, the same call works.
    assert!(bench.store.prune(at(1), 10).await.unwrap() > 0);
    bench.enrol("account/9999", &[("remind", 100)]).await;
}

#[tokio::test]
async fn a_wish_that_cannot_be_read_does_not_block_the_inbox() {
    let site = InFile::new();
    let bench = Bench { store: Arc::new(site.store()) };
    let of = entity("account/1");
    bench.store.accept(vec![event(&of, "one"), event(&of, "two"), event(&of, "three")], at(0)).await.unwrap();
    let meddler = Connection::open(site.path()).unwrap();
    meddler.execute("update hence_wish set body = ?1 where id = 1", ["{\"wish\":\"from_the_future\"}"]).unwrap();
    let other = meddler.query_row("select replace(body, 'account/1', 'account/2') from hence_wish where id = 2", [], |row| {
        row.get::<_, String>(0)
    });
    meddler.execute("update hence_wish set body = ?1 where id = 2", [other.unwrap()]).unwrap();
    let wishes = bench.store.wishes(None, at(0), 10).await.unwrap();
    let InboxEntry::Unreadable { id, entity: about, text, problem } = &wishes[0] else { panic!("{:?}", wishes[0]) };
    assert_eq!((about, text.as_str()), (&of, "{\"wish\":\"from_the_future\"}"));
    assert!(problem.contains("from_the_future"), "{problem}");
    assert!(matches!(&wishes[1], InboxEntry::Unreadable { .. }), "told of one entity, about another");
    assert!(matches!(&wishes[2], InboxEntry::Wish(_)));
    // It is refused like any other.
    let mut changes = ChangeSet::new(of.clone());
    changes.carried_out.push(*id);
    changes.records.push(record(&of, RecordKind::Refused, at(1), note(problem)));
    bench.write(changes, at(1)).await;
    assert_eq!(bench.store.wishes(None, at(0), 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_damaged_row_is_an_error_and_no_panic() {
    let site = InFile::new();
    let bench = Bench { store: Arc::new(site.store()) };
    let task = bench.enrol("account/1", &[("remind", 100)]).await.remove(0);
    bench.enrol("account/2", &[("remind", 100)]).await;
    let meddler = Connection::open(site.path()).unwrap();
    meddler.execute("update hence_body set reason = '{' where id = ?1", [task.id.0]).unwrap();
    assert_eq!(bench.store.task(task.id).await.unwrap_err().kind(), &ErrorKind::Corrupt);
    assert_eq!(bench.store.snapshots(&[entity("account/1")]).await.unwrap_err().kind(), &ErrorKind::Corrupt);
    assert_eq!(bench.store.snapshots(&[entity("account/2")]).await.unwrap()[0].live.len(), 1, "others can be read");
}

#[tokio::test]
async fn erased_texts_are_not_in_the_file() {
    let site = InFile::new();
    let bench = Bench { store: Arc::new(site.store()) };
    tell_marker(&bench).await;
    // Enough of others in between that pages split, fill and are freed; long texts stand on pages of their own.
    for number in 2..300_usize {
        bench.enrol(&format!("account/{number}"), &[("remind", 100), ("expire", 200)]).await;
        let of = entity("account/1");
        let mut changes = ChangeSet::new(of.clone());
        changes.records.push(record(&of, RecordKind::Event, at(150), note(&MARKER.repeat(1 + number * number % 700))));
        bench.write(changes, at(150)).await;
        let mut wish = event(&of, "account.paid");
        wish.actor = MARKER.repeat(1 + number % 300);
        bench.store.accept(vec![wish], at(150)).await.unwrap();
        if number % 3 == 0 {
            let mut changes = ChangeSet::new(of);
            changes.carried_out.push(bench.store.wishes(None, at(0), 1).await.unwrap()[0].id());
            bench.write(changes, at(150)).await;
        }
    }
    bench.store.erase(&entity("account/1"), at(200)).await.unwrap();
    let Bench { store } = bench;
    drop(store);
    let checkpoint = Connection::open(site.path()).unwrap();
    checkpoint.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).unwrap();
    for end in ["", "-wal", "-shm", ".lock"] {
        let bytes = std::fs::read(format!("{}{end}", site.path().display())).unwrap_or_default();
        let found = bytes.windows(MARKER.len()).any(|part| part == MARKER.as_bytes());
        assert!(!found, "the text is in hence.db{end}");
    }
}

#[tokio::test]
async fn the_lock_tells_at_once_whether_the_owner_lives() {
    let site = InFile::new();
    let store = site.store();
    let old = own_all(&store, "one").await;
    // Meanwhile a command line beside the engine reads and tells.
    let beside = site.store();
    beside.accept(vec![event(&entity("account/1"), "x")], at(0)).await.unwrap();
    let reading = SqliteStore::open(&site.path(), SqliteOptions::new(OpenMode::ReadOnly)).unwrap();
    let life = |seen: Ownership| seen.node("one").map(|row| row.life);
    assert_eq!(life(reading.ownership().await.unwrap()), Some(Life::Alive));
    assert_eq!(own_all(&beside, "two").await.shards, [], "it waits, however long the other stands still");
    drop(store);
    assert_eq!(life(reading.ownership().await.unwrap()), Some(Life::Gone));
    let new = own_all(&beside, "two").await;
    assert!(new.shards[0].epoch > old.shards[0].epoch);
    assert_eq!(reading.ownership().await.unwrap().lease_of("two"), new);
}

#[tokio::test]
async fn a_free_shard_cannot_be_taken_from_under_a_lock() {
    let site = InFile::new();
    let (one, two) = (site.store(), site.store());
    own_all(&one, "one").await;
    let meddler = Connection::open(site.path()).unwrap();
    meddler.execute_batch("update hence_shard set holder = null").unwrap();
    assert_eq!(own_all(&two, "two").await.shards, []);
    drop(one);
    assert_eq!(own_all(&two, "two").await.shards.len(), 1);
}
