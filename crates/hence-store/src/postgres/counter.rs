//! Counters: how many of everything, noted as changes in the transaction of each write so that nothing is ever counted by looking.
//!
//! A write only adds rows of changes, so that no writer and no transaction of a user waits for another. They are folded into the counters
//! once this process has added enough of them; whoever reads sums up both.

use jiff::Timestamp;

use super::connection::Connected;
use super::failure::Stop;
use super::row::{column, name_if_any, small};
use super::statement::{
    COUNTER_ADD, COUNTER_ADD_TALLY, COUNTER_DROP, COUNTER_FOLD, COUNTER_FOLD_LOCK, COUNTER_FOLD_TALLIES, COUNTER_LIST,
    COUNTER_TALLIES, START_NEXT_WAKE_AT,
};
use crate::codes::{FINISHED, UPCOMING};
use crate::error::Error;
use crate::format::{instant, micros};
use crate::limits::HOUR;
use crate::port::{Count, CountOf, CountSpan, CountsFilter, Totals};
use crate::tallies::{self, Tallies, count_of};

/// Notes what was counted; how many rows that took.
pub(super) async fn add(connected: &Connected, counted: Tallies) -> Result<u64, Stop> {
    let (tallies, counters) = counted.into_parts();
    let mut noted = 0;
    if !tallies.is_empty() {
        let (names, added): (Vec<String>, Vec<i64>) = tallies.into_iter().unzip();
        noted += connected.run(&COUNTER_ADD_TALLY, &[&names, &added]).await?;
    }
    if !counters.is_empty() {
        let subjects: Vec<i16> = counters.iter().map(|((subject, ..), _)| small(*subject)).collect();
        let hours: Vec<i64> = counters.iter().map(|((_, hour, ..), _)| *hour).collect();
        let steps: Vec<i64> = counters.iter().map(|((_, _, step, _), _)| *step).collect();
        let outcomes: Vec<&str> = counters.iter().map(|((.., outcome), _)| outcome.as_str()).collect();
        let added: Vec<i64> = counters.iter().map(|(_, added)| *added).collect();
        noted += connected.run(&COUNTER_ADD, &[&subjects, &hours, &steps, &outcomes, &added]).await?;
    }
    Ok(noted)
}

/// Folds the changes that there are, unless somebody else does.
pub(super) async fn fold(connected: &Connected) -> Result<(), Stop> {
    let is_ours = connected.first(&COUNTER_FOLD_LOCK, &[]).await?.is_some_and(|row| row.get(0));
    if is_ours {
        connected.run(&COUNTER_FOLD, &[]).await?;
        connected.run(&COUNTER_FOLD_TALLIES, &[]).await?;
        connected.run(&COUNTER_DROP, &[]).await?;
    }
    Ok(())
}

pub(super) async fn counts(connected: &Connected, filter: &CountsFilter) -> Result<Vec<Count>, Stop> {
    let hours: i64 = match filter.span {
        CountSpan::Hour => 1,
        CountSpan::Day => 24,
    };
    let subject = small(match filter.of {
        CountOf::Upcoming => UPCOMING,
        CountOf::Finished => FINISHED,
    });
    // The hours of all spans that begin within the range: both ends go up to the next beginning of a span.
    let first_hour = |at: Timestamp| {
        let micros_in_span = hours * HOUR;
        (micros(at).div_euclid(micros_in_span) + i64::from(micros(at).rem_euclid(micros_in_span) > 0)) * hours
    };
    let (from, until) = (first_hour(filter.from), first_hour(filter.until));
    let timeline = filter.timeline.as_ref().map(|name| name.as_str());
    let step = filter.step.as_ref().map(|name| name.as_str());
    let rows = connected.rows(&COUNTER_LIST, &[&subject, &from, &until, &hours, &timeline, &step]).await?;
    let counts = rows.iter().map(|row| {
        Ok(Count {
            begins_at: instant(column::<i64>(row, 0)? * HOUR)?,
            timeline: name_if_any(column(row, 1)?)?,
            step: name_if_any(column(row, 2)?)?,
            outcome: (filter.of == CountOf::Finished).then_some(column(row, 3)?),
            count: count_of(column(row, 4)?)?,
        })
    });
    Ok(counts.collect::<Result<_, Error>>()?)
}

pub(super) async fn totals(connected: &Connected) -> Result<Totals, Stop> {
    let mut totals = Totals::default();
    let (next, counted) = futures::join!(connected.first(&START_NEXT_WAKE_AT, &[]), connected.rows(&COUNTER_TALLIES, &[]));
    if let Some(row) = next? {
        totals.next_wake_at = Some(instant(column(&row, 0)?)?);
    }
    for row in counted? {
        tallies::put(&mut totals, column(&row, 0)?, column(&row, 1)?)?;
    }
    Ok(totals)
}
