//! Tallies: what a write adds to the counters of a SQL store, summed up before it is written.

use std::collections::BTreeMap;

use hence_core::task::TaskState;
use jiff::Timestamp;

use crate::codes::{FINISHED, UPCOMING};
use crate::error::Error;
use crate::format::corrupt;
use crate::limits::{HOUR, hour_of};
use crate::port::Totals;

/// By subject, hour, step and outcome.
pub(crate) type CounterKey = (i64, i64, i64, String);
/// What is to be added to counters, by their key.
pub(crate) type Added<K> = Vec<(K, i64)>;

/// What a write adds to the counters; written once at its end.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tallies {
    tallies: BTreeMap<String, i64>,
    counters: BTreeMap<CounterKey, i64>,
}

impl Tallies {
    /// Counts something by name.
    pub(crate) fn add(&mut self, name: &str, added: i64) {
        *self.tallies.entry(name.to_owned()).or_default() += added;
    }

    /// Counts a task that is not final, or is not any more (-1).
    pub(crate) fn add_live(&mut self, state: TaskState, step: i64, due_at: i64, added: i64) {
        self.add_state(state, added);
        *self.counters.entry((UPCOMING, due_at.div_euclid(HOUR), step, String::new())).or_default() += added;
    }

    /// Counts tasks that came into a state, or left it, and are due when they were.
    pub(crate) fn add_state(&mut self, state: TaskState, added: i64) {
        self.add(&format!("live.{state}"), added);
    }

    /// Counts a task that became final.
    pub(crate) fn add_finished(&mut self, step: i64, outcome: &str, now: Timestamp) {
        self.add(&format!("finished.{outcome}"), 1);
        *self.counters.entry((FINISHED, hour_of(now), step, outcome.to_owned())).or_default() += 1;
    }

    /// Adds what another part of the write counted.
    pub(crate) fn take(&mut self, other: Tallies) {
        for (name, added) in other.tallies {
            *self.tallies.entry(name).or_default() += added;
        }
        for (key, added) in other.counters {
            *self.counters.entry(key).or_default() += added;
        }
    }

    /// What is to be added, by name and by key; nothing that is zero.
    pub(crate) fn into_parts(self) -> (Added<String>, Added<CounterKey>) {
        let tallies = self.tallies.into_iter().filter(|(_, added)| *added != 0).collect();
        let counters = self.counters.into_iter().filter(|(_, added)| *added != 0).collect();
        (tallies, counters)
    }
}

/// Puts a stored tally where it belongs.
pub(crate) fn put(totals: &mut Totals, name: &str, count: i64) -> Result<(), Error> {
    let count = count_of(count)?;
    match name.split_once('.') {
        Some(("live", state)) => {
            let state = TaskState::from_word(state).ok_or_else(|| corrupt("a tally is of an unknown state"))?;
            totals.live.insert(state, count);
        }
        Some(("finished", outcome)) => {
            totals.finished.insert(outcome.to_owned(), count);
        }
        _ => match name {
            "entities" => totals.entities = count,
            "timelines" => totals.timelines = count,
            "wishes" => totals.wishes = count,
            _ => return Err(corrupt("a tally has an unknown name")),
        },
    }
    Ok(())
}

/// A stored count.
pub(crate) fn count_of(count: i64) -> Result<u64, Error> {
    u64::try_from(count).map_err(|error| corrupt("a counter is below zero").caused_by(error))
}
