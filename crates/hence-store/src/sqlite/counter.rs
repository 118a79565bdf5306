//! Counters: how many of everything, maintained in the transaction of each write so that nothing is ever counted by looking.

use jiff::Timestamp;

use super::connection::Connected;
use super::row::{column, name_if_any};
use super::statement::{COUNTER_ADD, COUNTER_ADD_TALLY, COUNTER_DROP, COUNTER_LIST, COUNTER_TALLIES, START_NEXT_WAKE_AT};
use crate::codes::{FINISHED, UPCOMING};
use crate::error::Error;
use crate::format::{instant, micros};
use crate::limits::HOUR;
use crate::port::{Count, CountOf, CountSpan, CountsFilter, Totals};
use crate::tallies::{self, Tallies, count_of};

/// Writes what was counted.
pub(super) fn add(connected: &Connected, counted: Tallies) -> Result<(), Error> {
    let (tallies, counters) = counted.into_parts();
    for (name, added) in tallies {
        connected.run(COUNTER_ADD_TALLY, (name, added))?;
    }
    for ((subject, hour, step, outcome), added) in counters {
        let count: i64 = connected.one(COUNTER_ADD, (subject, hour, step, &outcome, added))?;
        if count == 0 {
            connected.run(COUNTER_DROP, (subject, hour, step, &outcome))?;
        }
    }
    Ok(())
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
    let found = connected.all(COUNTER_TALLIES, [], |row| Ok((column::<String>(row, 0)?, column(row, 1)?)))?;
    for (name, count) in found {
        tallies::put(&mut totals, &name, count)?;
    }
    Ok(totals)
}
