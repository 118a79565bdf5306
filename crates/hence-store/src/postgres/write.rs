//! Writing change sets: many in a few statements, in one commit.
//!
//! What the change sets speak of is read and held first (`stored`: shards, entities by id, then wishes, tasks by id), so that nobody else
//! changes it before the commit (F38). Each change set is then held against what is stored and against those before it, in memory
//! (`changing`), and either refused or taken whole. What all of them come to is written by one statement for each kind of row
//! (`flush`), conditional all the same. If the database refuses a row, each change set is written by itself (`one_by_one`), so that it hurts
//! its own only (G19).

mod changing;
mod flush;
mod stored;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use hence_core::shard::Shard;
use hence_core::timeline::ChangeSet;
use jiff::Timestamp;

use super::connection::Connected;
use super::entity::shard_of;
use super::failure::Stop;
use super::row::column;
use super::start::Owned;
use super::statement::{HISTORY_MAKE, LEASE_HOLD, WRITE_FIND_STEP, WRITE_INSERT_STEP};
use crate::changes;
use crate::error::{Error, ErrorKind};
use crate::port::{Conflict, Written};
use changing::Changing;
use stored::Stored;

/// How much of history stands in one part of the table, in microseconds: 30 days, as `hence.make_history` has it.
const HISTORY_SPAN: i64 = 2_592_000_000_000;

/// What a process remembers of a store between writes. All of it is only ever added to, or found to be outdated by an error.
#[derive(Default)]
pub(super) struct Known {
    /// Numbers of steps by (timeline, type of the entity, name).
    steps: Mutex<HashMap<StepKey, i64>>,
    /// Parts of history that are there.
    history: Mutex<BTreeSet<i64>>,
}

/// Timeline, type of the entity, name.
type StepKey = (String, String, String);

/// What is the same for all change sets of a call.
pub(super) struct Call<'c> {
    pub(super) known: &'c Known,
    pub(super) shards: u16,
    pub(super) now: Timestamp,
    /// Set once the database refused a row: from then on each change set is written by itself, and everything is looked up before.
    pub(super) is_careful: &'c AtomicBool,
}

/// What came of a call.
pub(super) struct Done {
    pub(super) answers: Vec<Written>,
    /// How many rows of counters were noted.
    pub(super) noted: u64,
    /// When history says that it was written; `None` when nothing was.
    pub(super) written_at: Option<Timestamp>,
}

impl Call<'_> {
    fn is_careful(&self) -> bool {
        self.is_careful.load(Ordering::Relaxed)
    }
}

/// Writes the change sets, in the transaction of the call.
pub(super) async fn write(
    connected: &Connected,
    call: &Call<'_>,
    lease: Option<&Owned>,
    changes: &[ChangeSet],
) -> Result<Done, Stop> {
    let mut done = Done { answers: Vec::with_capacity(changes.len()), noted: 0, written_at: None };
    done.answers.extend(changes.iter().map(|changes| match changes::check(changes) {
        Ok(()) => Written::Applied,
        Err(conflict) => Written::Conflict(conflict),
    }));
    if let Some(lease) = lease {
        let held = connected.rows(&LEASE_HOLD, &[&lease.node, &lease.shards, &lease.epochs]).await?;
        let held: BTreeSet<i16> = held.iter().map(|row| column(row, 0)).collect::<Result<_, Error>>()?;
        for (answer, changes) in done.answers.iter_mut().zip(changes) {
            if *answer == Written::Applied && !held.contains(&shard_of(&changes.entity, call.shards)) {
                *answer = Written::Conflict(Conflict::FenceLost(Shard::of(&changes.entity, call.shards)));
            }
        }
    }
    let mut wanted: Vec<(usize, &ChangeSet)> = changes.iter().enumerate().collect();
    wanted.retain(|(index, _)| done.answers[*index] == Written::Applied);
    if call.is_careful() {
        one_by_one(connected, call, &wanted, &mut done).await?;
    } else if !wanted.is_empty() {
        together(connected, call, &wanted, &mut done).await.map_err(|stop| match stop {
            Stop::Failed(error) if *error.kind() == ErrorKind::Invalid => {
                call.known.forget_history();
                call.is_careful.store(true, Ordering::Relaxed);
                Stop::Again(error)
            }
            other => other,
        })?;
    }
    Ok(done)
}

/// Writes all of them at once.
async fn together(connected: &Connected, call: &Call<'_>, wanted: &[(usize, &ChangeSet)], done: &mut Done) -> Result<(), Stop> {
    let mut stored = Stored::load(connected, call, wanted).await?;
    let now = stored.written_at(call.now)?;
    call.known.have_history(connected, now).await?;
    let mut changing = Changing::new(now);
    for (index, changes) in wanted {
        let taken = changing.take(&mut stored, changes);
        done.answers[*index] = taken.map_or_else(Written::Conflict, |()| Written::Applied);
    }
    done.noted += flush::flush(connected, call, &mut stored, changing).await?;
    done.written_at = Some(now);
    Ok(())
}

/// Writes each by itself, because something in one of them cannot be stored.
async fn one_by_one(connected: &Connected, call: &Call<'_>, wanted: &[(usize, &ChangeSet)], done: &mut Done) -> Result<(), Stop> {
    for one in wanted {
        connected.batch("savepoint alone").await?;
        match together(connected, call, &[*one], done).await {
            Err(Stop::Failed(error)) if *error.kind() == ErrorKind::Invalid => {
                connected.batch("rollback to savepoint alone").await?;
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                done.answers[one.0] = Written::Conflict(Conflict::Invalid(format!("{error}: {cause}")));
            }
            other => other?,
        }
        connected.batch("release savepoint alone").await?;
    }
    Ok(())
}

impl Known {
    /// Sees to it that there is a part of history for that instant.
    pub(super) async fn have_history(&self, connected: &Connected, at: Timestamp) -> Result<(), Stop> {
        let number = crate::format::micros(at).div_euclid(HISTORY_SPAN);
        let is_there = self.history.lock().unwrap_or_else(PoisonError::into_inner).contains(&number);
        if !is_there {
            connected.rows(&HISTORY_MAKE, &[&number]).await?;
        }
        Ok(())
    }

    /// Remembers that what was just committed was put into the part of history for that instant.
    pub(super) fn saw_history(&self, at: Timestamp) {
        let number = crate::format::micros(at).div_euclid(HISTORY_SPAN);
        self.history.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
    }

    /// Forgets which parts of history are there: somebody dropped one.
    pub(super) fn forget_history(&self) {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The numbers of these steps, given now to those that have none.
    async fn steps(&self, connected: &Connected, wanted: BTreeSet<StepKey>) -> Result<BTreeMap<StepKey, i64>, Stop> {
        let mut found = BTreeMap::new();
        let mut missing = Vec::new();
        {
            let known = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
            for key in wanted {
                match known.get(&key) {
                    Some(number) => drop(found.insert(key, *number)),
                    None => missing.push(key),
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let timelines: Vec<&str> = missing.iter().map(|key| key.0.as_str()).collect();
        let kinds: Vec<&str> = missing.iter().map(|key| key.1.as_str()).collect();
        let names: Vec<&str> = missing.iter().map(|key| key.2.as_str()).collect();
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&timelines, &kinds, &names];
        let mut rows = connected.rows(&WRITE_FIND_STEP, &params).await?;
        let is_all_there = rows.len() == missing.len();
        if !is_all_there {
            connected.run(&WRITE_INSERT_STEP, &params).await?;
            rows = connected.rows(&WRITE_FIND_STEP, &params).await?;
        }
        let mut read = BTreeMap::new();
        for row in rows {
            read.insert((column(&row, 0)?, column(&row, 1)?, column(&row, 2)?), column(&row, 3)?);
        }
        if is_all_there {
            // Those that were made just now may yet be taken back with the transaction.
            self.steps.lock().unwrap_or_else(PoisonError::into_inner).extend(read.clone());
        }
        found.extend(read);
        Ok(found)
    }
}
