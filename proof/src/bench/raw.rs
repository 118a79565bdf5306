//! The raw statements: what SQLite allows when a start is committed before its effect and history is kept, and nothing else is done.
//!
//! "One table": a wide row that holds the payload, updated in place. "Our tables": the least statements that leave in the tables of
//! Hence what its engine leaves there. Both run on one thread, with prepared statements, in batches as large as the engine's.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::line::Found;
use super::tell::CLIENTS;
use super::{Options, Workload, late, setting};
use crate::machine::{Stopwatch, Took};

const HOUR: i64 = 3_600_000_000;
const SCHEMA: &str = "
    pragma page_size = 8192; pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -65536;
    pragma wal_autocheckpoint = 8000; pragma temp_store = memory;
    create table task (id integer primary key, due_at integer not null, entity text not null, payload text not null,
      state integer not null default 0, fence integer not null default 0, finished_at integer, outcome text);
    create index task_due on task (due_at) where state = 0;
    create index task_entity on task (entity, due_at);";
const INSERT: &str = "insert into task (id, due_at, entity, payload) values (?1, ?2, ?3, ?4)";
const DUE: &str = "select id, due_at, payload from task where state = 0 and due_at <= ?1 order by due_at limit ?2";
const START: &str = "update task set state = 1, fence = ?2 where id = ?1 and state = 0";
const COMPLETE: &str = "update task set state = 2, finished_at = ?2, outcome = 'done' where id = ?1 and state = 1 and fence = ?3";
const CANCEL: &str = "update task set state = 4, finished_at = ?2 where entity = ?1 and due_at > ?2 and state = 0";

fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

/// One workload on one table.
pub(super) fn measure(workload: Workload, options: &Options, folder: &Path) -> Result<Found> {
    let connection = Connection::open(folder.join("raw.db"))?;
    connection.execute_batch(SCHEMA).context("cannot make the table")?;
    let far = now() + 240 * HOUR;
    match workload {
        Workload::W1a => {
            let began = Stopwatch::begin();
            for number in 0..options.calls {
                insert(&connection, number, far, number)?;
            }
            Ok(Found::of(options.calls, began.stop()))
        }
        Workload::W1b => Ok(Found::of(
            options.calls,
            in_groups(connection, options.calls, move |connection, number| insert(connection, number, far, number))?,
        )),
        Workload::W1c => {
            let began = Stopwatch::begin();
            insert_many(&connection, 0..options.count, |number| far + number as i64 * 1000)?;
            Ok(Found::of(options.count, began.stop()))
        }
        Workload::W2 => {
            let due = now() - HOUR;
            insert_many(&connection, 0..options.count, |number| due + number as i64 * 10)?;
            let began = Stopwatch::begin();
            let mut done = 0;
            while done < options.count {
                done += batch(&connection, options.attempts)?.len();
            }
            Ok(Found::of(done, began.stop()))
        }
        Workload::W3 => lateness(&connection, options),
        Workload::W5 | Workload::W5p => cancel(connection, workload, options, far),
    }
}

fn cancel(connection: Connection, workload: Workload, options: &Options, far: i64) -> Result<Found> {
    connection.execute_batch("begin")?;
    for number in 0..options.calls * 3 {
        insert(&connection, number, far, number / 3)?;
    }
    connection.execute_batch("commit")?;
    let cancel = |connection: &Connection, number: usize| {
        let entity = format!("account/{number}");
        let count = connection.prepare_cached(CANCEL)?.execute(params![entity, now()])?;
        ensure!(count == 3, "{count} tasks of an entity were cancelled");
        Ok(())
    };
    let took = if workload == Workload::W5 {
        let began = Stopwatch::begin();
        for number in 0..options.calls {
            cancel(&connection, number)?;
        }
        began.stop()
    } else {
        in_groups(connection, options.calls, cancel)?
    };
    Ok(Found::of(options.calls * 3, took))
}

fn insert(connection: &Connection, id: usize, due: i64, entity: usize) -> Result<()> {
    let data = serde_json::json!({ "kind": "reminder", "number": id.to_string(), "note": setting::note(id) });
    let mut statement = connection.prepare_cached(INSERT)?;
    statement.execute(params![id as i64 + 1, due, format!("account/{entity}"), data.to_string()])?;
    Ok(())
}

fn insert_many(connection: &Connection, numbers: std::ops::Range<usize>, due: impl Fn(usize) -> i64) -> Result<()> {
    let numbers: Vec<usize> = numbers.collect();
    for batch in numbers.chunks(10_000) {
        connection.execute_batch("begin immediate")?;
        for number in batch {
            insert(connection, *number, due(*number), *number)?;
        }
        connection.execute_batch("commit")?;
    }
    Ok(())
}

/// Eight clients hand their calls to one connection, which commits whatever has queued up.
fn in_groups(
    connection: Connection,
    calls: usize,
    work: impl Fn(&Connection, usize) -> Result<()> + Send + 'static,
) -> Result<Took> {
    let (sender, waiting) = mpsc::channel::<(usize, mpsc::Sender<()>)>();
    let began = Stopwatch::begin();
    let writer = std::thread::spawn(move || -> Result<()> {
        while let Ok(first) = waiting.recv() {
            connection.execute_batch("begin immediate")?;
            let group: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
            for (number, _) in &group {
                work(&connection, *number)?;
            }
            connection.execute_batch("commit")?;
            for (_, answer) in group {
                answer.send(())?;
            }
        }
        Ok(())
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let sender = sender.clone();
            std::thread::spawn(move || -> Result<()> {
                let (answer, answered) = mpsc::channel();
                for number in (client..calls).step_by(CLIENTS) {
                    sender.send((number, answer.clone()))?;
                    answered.recv()?;
                }
                Ok(())
            })
        })
        .collect();
    drop(sender);
    for thread in clients.into_iter().chain(std::iter::once(writer)) {
        thread.join().map_err(|_| anyhow::anyhow!("a thread of the raw statements broke"))??;
    }
    Ok(began.stop())
}

/// Starts what is due, commits that, decodes each payload, completes and commits again; the instants that were due.
fn batch(connection: &Connection, limit: usize) -> Result<Vec<i64>> {
    let due = due(connection, limit)?;
    if due.is_empty() {
        return Ok(Vec::new());
    }
    connection.execute_batch("begin immediate")?;
    {
        let mut start = connection.prepare_cached(START)?;
        for (id, due_at) in &due {
            ensure!(start.execute(params![id, due_at])? == 1, "a due task was not started");
        }
    }
    connection.execute_batch("commit; begin immediate")?;
    {
        let mut complete = connection.prepare_cached(COMPLETE)?;
        let at = now();
        for (id, due_at) in &due {
            ensure!(complete.execute(params![id, at, due_at])? == 1, "a started task was not completed");
        }
    }
    connection.execute_batch("commit")?;
    Ok(due.into_iter().map(|(_, due_at)| due_at).collect())
}

fn due(connection: &Connection, limit: usize) -> Result<Vec<(i64, i64)>> {
    let mut statement = connection.prepare_cached(DUE)?;
    let mut rows = statement.query(params![now(), limit as i64])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        let payload: serde_json::Value = serde_json::from_str(row.get_ref(2)?.as_str()?)?;
        ensure!(payload.is_object(), "the payload is an object");
        due.push((row.get(0)?, row.get(1)?));
    }
    Ok(due)
}

fn lateness(connection: &Connection, options: &Options) -> Result<Found> {
    let far = now() + 720 * HOUR;
    insert_many(connection, 0..options.resting, |number| far + number as i64 * 1000)?;
    let count = late::RATE * options.seconds;
    let first = now() + 3_000_000;
    let due = |number: usize| first + (number - options.resting) as i64 * 1_000_000 / late::RATE as i64;
    insert_many(connection, options.resting..options.resting + count, due)?;
    let mut lateness = Vec::with_capacity(count);
    let began = Stopwatch::begin();
    while lateness.len() < count {
        let due = batch(connection, options.attempts)?;
        if due.is_empty() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let at = now();
        lateness.extend(due.into_iter().map(|due| Duration::from_micros(u64::try_from(at - due).unwrap_or(0))));
    }
    lateness.sort_unstable();
    Ok(Found { tasks: count, took: began.stop(), lateness })
}

const OUR_DUE: &str = "select l.id, l.due_at, l.entity, l.step, b.timeline, t.facts from hence_live l indexed by hence_live_wake
    cross join hence_body b on b.id = l.id cross join hence_timeline t on t.id = b.timeline
    where l.state = 0 and l.wake_at <= ?1 order by l.wake_at limit ?2";
const OUR_START: &str = "update hence_live set state = 1, fence = ?2, started_at = ?3, attempt = attempt + 1
    where id = ?1 and state = 0 and fence < ?2";
const OUR_DELETE: &str = "delete from hence_live where id = ?1 and fence = ?2 and state = 1";
const OUR_RECORD: &str =
    "insert into hence_history (written_at, at, kind, entity, timeline, task, step, key, occurrence, due_at, started_at,
    fence, attempt, outcome, reason) values (?1, ?1, 4, ?2, ?3, ?4, ?5, null, '', ?6, ?1, ?7, 1, 'done', ?8)";
const OUR_ENDED: &str =
    "insert into hence_history (written_at, at, kind, entity, timeline, task, step, key, occurrence, due_at, started_at,
    fence, attempt, outcome, reason) values (?1, ?1, 3, ?2, ?3, null, ?4, null, '', null, null, 0, 0, null, ?5)";
const OUR_TIMELINE: &str = "update hence_timeline set status = 1 where id = ?1";
const OUR_ENTITY: &str = "update hence_entity set version = version + 1, idle_since = ?2 where id = ?1";

/// W2 on a store that Hence has seeded, by statements alone.
pub(super) fn drain_our_tables(options: &Options, folder: &Path) -> Result<Found> {
    let connection = Connection::open(folder.join("hence.db"))?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.execute_batch("pragma synchronous = full; pragma cache_size = -65536; pragma secure_delete = 1")?;
    let mut fence = 1_000;
    let mut done = 0;
    let began = Stopwatch::begin();
    while done < options.count {
        let at = now();
        let due = our_due(&connection, at, options.attempts)?;
        connection.execute_batch("begin immediate")?;
        for (index, task) in due.iter().enumerate() {
            let started = connection.prepare_cached(OUR_START)?.execute(params![task.0, fence + index as i64, at])?;
            ensure!(started == 1, "a due task was not started");
        }
        connection.execute_batch("commit; begin immediate")?;
        for (index, (id, due_at, entity, step, timeline)) in due.iter().enumerate() {
            let fence = fence + index as i64;
            ensure!(connection.prepare_cached(OUR_DELETE)?.execute(params![id, fence])? == 1, "a started task has ended");
            let reason = r#"{"kind":"answer","to":"handler act","facts":{}}"#;
            let record = params![at, entity, timeline, id, step, due_at, fence, reason];
            connection.prepare_cached(OUR_RECORD)?.execute(record)?;
            let reason = r#"{"kind":"note","text":"nothing is ahead"}"#;
            connection.prepare_cached(OUR_ENDED)?.execute(params![at, entity, timeline, step, reason])?;
            connection.prepare_cached(OUR_TIMELINE)?.execute([timeline])?;
            connection.prepare_cached(OUR_ENTITY)?.execute(params![entity, at])?;
        }
        connection.execute_batch("commit")?;
        fence += due.len() as i64;
        done += due.len();
    }
    Ok(Found::of(done, began.stop()))
}

type Due = (i64, i64, i64, i64, i64);

fn our_due(connection: &Connection, at: i64, limit: usize) -> Result<Vec<Due>> {
    let mut statement = connection.prepare_cached(OUR_DUE)?;
    let mut rows = statement.query(params![at, limit as i64])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        let facts: serde_json::Value = serde_json::from_str(row.get_ref(5)?.as_str()?)?;
        ensure!(facts.is_object(), "the facts are an object");
        due.push((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
    }
    Ok(due)
}
