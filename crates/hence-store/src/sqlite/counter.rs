//! Counters: how many of everything, maintained in the transaction of each write so that nothing is ever counted by looking.

use std::collections::BTreeMap;

use hence_core::task::TaskState;
use jiff::Timestamp;

use super::connection::Connected;
use super::row::{column, name_if_any};
use super::statement::{COUNTER_ADD, COUNTER_ADD_TALLY, COUNTER_DROP, COUNTER_LIST, COUNTER_TALLIES, START_NEXT_WAKE_AT};
use crate::error::Error;
use crate::format::{corrupt, instant, micros};
use crate::limits::{HOUR, hour_of};
use crate::port::{Count, CountOf, CountSpan, CountsFilter, Totals};

const UPCOMING: i64 = 0;
const FINISHED: i64 = 1;

/// What a write adds to the counters; written once at its end.
#[derive(Debug, Default, Clone)]
pub(super) struct Tallies {
    tallies: BTreeMap<String, i64>,
    /// By subject, hour, step and outcome.
    counters: BTreeMap<(i64, i64, i64, String), i64>,
}

impl Tallies {
    /// Counts something by name.
    pub(super) fn add(&mut self, name: &str, added: i64) {
        *self.tallies.entry(name.to_owned()).or_default() += added;
    }

    /// Counts a task that is not final, or is not any more (-1).
    pub(super) fn add_live(&mut self, state: TaskState, step: i64, due_at: i64, added: i64) {
        self.add_state(state, added);
        *self.counters.entry((UPCOMING, due_at.div_euclid(HOUR), step, String::new())).or_default() += added;
    }

    /// Counts tasks that came into a state, or left it, and are due when they were.
    pub(super) fn add_state(&mut self, state: TaskState, added: i64) {
        self.add(&format!("live.{state}"), added);
    }

    /// Counts a task that became final.
    pub(super) fn add_finished(&mut self, step: i64, outcome: &str, now: Timestamp) {
        self.add(&format!("finished.{outcome}"), 1);
        *self.counters.entry((FINISHED, hour_of(now), step, outcome.to_owned())).or_default() += 1;
    }

    /// Adds what another part of the write counted.
    pub(super) fn take(&mut self, other: Tallies) {
        for (name, added) in other.tallies {
            *self.tallies.entry(name).or_default() += added;
        }
        for (key, added) in other.counters {
            *self.counters.entry(key).or_default() += added;
        }
    }

    /// Writes them.
    pub(super) fn write(self, connected: &Connected) -> Result<(), Error> {
        for (name, added) in self.tallies.into_iter().filter(|(_, added)| *added != 0) {
            connected.run(COUNTER_ADD_TALLY, (name, added))?;
        }
        for ((subject, hour, step, outcome), added) in self.counters.into_iter().filter(|(_, added)| *added != 0) {
            let count: i64 = connected.one(COUNTER_ADD, (subject, hour, step, &outcome, added))?;
            if count == 0 {
                connected.run(COUNTER_DROP, (subject, hour, step, &outcome))?;
            }
        }
        Ok(())
    }
}

pub(super) fn counts(connected: &mut Connected, filter: &CountsFilter) -> Result<Vec<Count>, Error> {
    let hours = match filter.span {
        CountSpan::Hour => 1,
        CountSpan::Day => 24,
    };
    let subject = match filter.of {
        CountOf::Upcoming => UPCOMING,
        CountOf::Finished => FINISHED,
    };
    // The hours of all spans that begin within the range: both ends go up to the next beginning of a span.
    let first_hour = |at: Timestamp| {
        let micros_in_span = hours * HOUR;
        (micros(at).div_euclid(micros_in_span) + i64::from(micros(at).rem_euclid(micros_in_span) > 0)) * hours
    };
    let timeline = filter.timeline.as_ref().map(|name| name.as_str());
    let step = filter.step.as_ref().map(|name| name.as_str());
    let params = (subject, first_hour(filter.from), first_hour(filter.until), hours, timeline, step);
    connected.all(COUNTER_LIST, params, |row| {
        let outcome: String = column(row, 3)?;
        Ok(Count {
            begins_at: instant(column::<i64>(row, 0)? * HOUR)?,
            timeline: name_if_any(column(row, 1)?)?,
            step: name_if_any(column(row, 2)?)?,
            outcome: (filter.of == CountOf::Finished).then_some(outcome),
            count: count_of(column(row, 4)?)?,
        })
    })
}

pub(super) fn totals(connected: &mut Connected) -> Result<Totals, Error> {
    let mut totals = Totals::default();
    let next = connected.find(START_NEXT_WAKE_AT, [], |row| column(row, 0))?;
    totals.next_wake_at = next.map(instant).transpose()?;
    let tallies = connected.all(COUNTER_TALLIES, [], |row| Ok((column::<String>(row, 0)?, column(row, 1)?)))?;
    for (name, count) in tallies {
        let count = count_of(count)?;
        match name.split_once('.') {
            Some(("live", state)) => {
                let state = TaskState::from_word(state).ok_or_else(|| corrupt("a tally is of an unknown state"))?;
                totals.live.insert(state, count);
            }
            Some(("finished", outcome)) => {
                totals.finished.insert(outcome.to_owned(), count);
            }
            _ => match name.as_str() {
                "entities" => totals.entities = count,
                "timelines" => totals.timelines = count,
                "wishes" => totals.wishes = count,
                _ => return Err(corrupt("a tally has an unknown name")),
            },
        }
    }
    Ok(totals)
}

fn count_of(count: i64) -> Result<u64, Error> {
    u64::try_from(count).map_err(|error| corrupt("a counter is below zero").caused_by(error))
}
