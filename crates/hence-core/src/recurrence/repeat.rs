//! `repeat`: every so many days or hours from the first time, a number of times or until an end.
//!
//! Owns the arithmetic: the n-th time is the first plus n times the duration, never the last plus one, so that month ends
//! and clock changes do not add up. Leaves gaps and folds to the parent.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};

use super::{Candidate, Nominal, Occurrence, Start, repeat_error};
use crate::calendar::{CalendarError, Offset, Zone, parse_instant};

/// The last moment a recurrence may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// This instant, itself included.
    Instant(Timestamp),
    /// This local time, itself included.
    Local(DateTime),
    /// This far from the start, itself included.
    After(Offset),
}

/// A duration that comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    every: Offset,
    times: Option<u32>,
    until: Option<Until>,
}

impl Until {
    /// Reads `2026-12-31` (that whole day), `2026-12-31T12:00` (local), `2026-12-31T12:00:00Z`,
    /// `2026-12-31T12:00[Europe/Oslo]`, or a duration from the start such as `90 days`.
    /// # Errors
    /// None of these.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let text = text.trim();
        if let Ok(offset) = Offset::parse(text) {
            if offset.is_negative() || offset.needs_calendar() {
                return Err(repeat_error(
                    format!("`{text}` is no end of a repeat"),
                    "count forward in days or hours, such as `90 days`",
                ));
            }
            return Ok(Self::After(offset));
        }
        let is_plain = text.bytes().all(|b| b.is_ascii_digit() || b"-T:".contains(&b));
        if is_plain && text.len() == 10 {
            if let Ok(date) = text.parse::<Date>() {
                return Ok(Self::Local(date.to_datetime(Time::MAX)));
            }
        } else if is_plain && let Ok(local) = text.parse::<DateTime>() {
            return Ok(Self::Local(local));
        }
        parse_instant(text, None).map(|(at, _)| Self::Instant(at)).map_err(|error| {
            repeat_error(
                format!("not an end of a repeat: {error}"),
                "write `2026-12-31`, `2026-12-31T12:00:00Z` or a duration from the start such as `90 days`",
            )
        })
    }

    /// Whether an occurrence comes early enough.
    pub(super) fn admits(&self, found: &Occurrence, start: &Start, zone: &Zone) -> bool {
        match self {
            Self::Instant(until) => found.at <= *until,
            Self::Local(until) => found.nominal.local(zone) <= *until,
            Self::After(offset) => match offset.add_to(start.at, zone) {
                Ok(until) => found.at <= until,
                Err(_) => true,
            },
        }
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant(at) => write!(f, "until {at}"),
            Self::Local(local) if local.time() == Time::MAX => write!(f, "until {}", local.date()),
            Self::Local(local) => write!(f, "until {local}"),
            Self::After(offset) => write!(f, "for {offset}"),
        }
    }
}

impl Repeat {
    /// Every `every`, at most `times` times, at most until `until`.
    /// # Errors
    /// The duration is not above zero, mixes days with hours, counts working days or has a part of a second; or `times` is 0.
    pub fn new(every: Offset, times: Option<u32>, until: Option<Until>) -> Result<Self, CalendarError> {
        if every.needs_calendar() {
            return Err(repeat_error(
                format!("`repeat = \"{every}\"` cannot count working days"),
                "repeat every day and give `open`, or use a cron pattern such as `0 9 * * mon-fri`",
            ));
        }
        if every.is_negative() || every.is_zero() {
            return Err(repeat_error(format!("`repeat = \"{every}\"` does not go forward"), "write `7 days` or `6 hours`"));
        }
        if every.has_calendar_part() && every.has_time_part() {
            return Err(repeat_error(
                format!("`repeat = \"{every}\"` mixes calendar days with elapsed hours"),
                "use one of them: days keep the local time, hours count what has passed",
            ));
        }
        if every.as_elapsed().is_some_and(|elapsed| elapsed.subsec_nanos() != 0) {
            return Err(repeat_error(format!("`repeat = \"{every}\"` is not in whole seconds"), "write `7 days` or `6 hours`"));
        }
        if times == Some(0) {
            return Err(repeat_error("`times = 0` says never", "give at least 1, or leave the step out"));
        }
        Ok(Self { every, times, until })
    }

    /// From one occurrence to the next.
    pub fn every(&self) -> Offset {
        self.every
    }

    /// How many occurrences there are at most.
    pub fn times(&self) -> Option<u32> {
        self.times
    }

    /// The last moment.
    pub fn until(&self) -> Option<Until> {
        self.until
    }

    /// The duration, when it is elapsed time.
    pub(super) fn elapsed(&self) -> Option<SignedDuration> {
        self.every.as_elapsed()
    }

    /// The first of the calendar steps from `start` that is later than `last`.
    pub(super) fn local_after(&self, last: Option<DateTime>, start: DateTime) -> Option<Candidate> {
        let Some(last) = last.filter(|last| *last >= start) else {
            return Some(Candidate { local: start, number: Some(1) });
        };
        // The shortest calendar step is a day, so there are no more steps than days; beyond the year 9999 counts as later.
        let is_later = |steps: i64| self.every.step_from(start, steps).map_or(true, |local| local > last);
        let mut below = 0;
        let mut later = start.duration_until(last).as_secs() / 86_400 + 1;
        while below + 1 < later {
            let middle = below + (later - below) / 2;
            if is_later(middle) {
                later = middle;
            } else {
                below = middle;
            }
        }
        let number = self.number(later.into())?;
        Some(Candidate { local: self.every.step_from(start, later).ok()?, number })
    }

    /// The first of the steps of elapsed time from `start` whose whole second is later than `last`.
    pub(super) fn elapsed_after(&self, last: Option<Timestamp>, start: Timestamp) -> Option<Occurrence> {
        let every = i128::from(self.elapsed()?.as_secs());
        let first_second = i128::from(whole_second(start).as_second());
        let steps = match last.map(|last| i128::from(last.as_second())) {
            Some(last) if last >= first_second => (last - first_second) / every + 1,
            _ => 0,
        };
        let number = self.number(steps)?;
        let total = SignedDuration::from_secs(i64::try_from(every.checked_mul(steps)?).ok()?);
        let at = start.checked_add(total).ok()?;
        Some(Occurrence { nominal: Nominal::Instant(whole_second(at)), at, number })
    }

    /// The number after so many steps, unless `times` ends before; beyond 32 bits it is not known.
    fn number(&self, steps: i128) -> Option<Option<u32>> {
        let number = u32::try_from(steps + 1).ok();
        match self.times {
            Some(times) => number.filter(|number| *number <= times).map(Some),
            None => Some(number),
        }
    }
}

fn whole_second(at: Timestamp) -> Timestamp {
    // Rounding towards the past; only an instant before the year -9999 could fail, and then it stays as it is.
    let second = at.as_nanosecond().div_euclid(1_000_000_000);
    i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok()).unwrap_or(at)
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "every {}", self.every)?;
        match self.times {
            Some(1) => f.write_str(", once")?,
            Some(times) => write!(f, ", {times} times")?,
            None => {}
        }
        self.until.map_or(Ok(()), |until| write!(f, ", {until}"))
    }
}
