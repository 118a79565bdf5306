//! Calendars: zones, durations, open hours and closed days; when a moment is open, and when the next open one is.
//!
//! Owns all rules of local time. "Open" is judged by what a clock in the zone shows, so a range is cut short by a gap and
//! stretched by a fold, and the search for the next open moment also stops at each change of the zone's rules.
//! Invariants: a [`Calendar`] has at least one open day in each 28 years, or none can be built; every search is bounded.
//! Leaves to others: which rule applies to which task (`due`), what comes again (`recurrence`).

mod closed;
mod error;
mod hours;
mod offset;
mod time_of_day;
mod words;
mod zone;

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};

use closed::ClosedDays;
use hours::OpenRange;

pub(crate) use error::shown;
pub use error::{CalendarError, CalendarErrorKind};
pub use offset::Offset;
pub use time_of_day::TimeOfDay;
pub(crate) use words::LocalWords;
pub use words::in_words;
pub(crate) use zone::in_range;
pub use zone::{Resolved, Shift, Zone, parse_instant, tzdb_version};

/// How far ahead an open moment is looked for, in days: five years.
const SEARCH_DAYS_MAX: i32 = 5 * 366;
/// The most closed days and ranges a calendar may have.
pub const CLOSED_DAYS_MAX: usize = 1_000;

/// Weekly open hours, less the closed days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// The text the hours were read from, with single spaces.
    text: String,
    /// Monday first; sorted, apart from each other, in seconds from that day's midnight; an end may lie on the next day.
    week: [Vec<OpenRange>; 7],
    closed: Vec<ClosedDays>,
}

impl Calendar {
    /// Reads weekly open hours: items joined by commas, each with days and ranges.
    ///
    /// Days are `mon`..`sun`, a range such as `mon-fri`, or `daily`; ranges are `08:00-18:00`, joined by spaces or commas;
    /// `22:00-02:00` ends on the next day and belongs to the day it begins on; `00:00-24:00` is the whole day. `closed` or
    /// not being named closes a weekday. `docs/reference/time.md` has the grammar.
    ///
    /// ```
    /// use hence_core::calendar::Calendar;
    /// assert!(Calendar::parse_hours("mon-thu 08:00-12:00 13:00-17:00, fri 08:00-15:00, sat,sun closed").is_ok());
    /// assert!(Calendar::parse_hours("mon closed").is_err());
    /// ```
    /// # Errors
    /// A word that is no day and no range, an empty range, a day both open and closed, or never open.
    pub fn parse_hours(text: &str) -> Result<Self, CalendarError> {
        let week = hours::parse(text)?;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let calendar = Self { text, week, closed: Vec::new() };
        calendar.must_open()?;
        Ok(calendar)
    }

    /// The same hours with one more closed day or range: `2026-12-25`, `12-25` (each year), `2026-07-01..2026-07-31`,
    /// `12-24..01-01` (each year, over its end). A range open past midnight belongs to the day it begins on.
    /// # Errors
    /// Not such a text, a range that ends before it begins, too many, or nothing would be open any more.
    pub fn with_closed(mut self, text: &str) -> Result<Self, CalendarError> {
        if self.closed.len() >= CLOSED_DAYS_MAX {
            return Err(CalendarError::new(
                CalendarErrorKind::Closed,
                format!("a calendar has at most {CLOSED_DAYS_MAX} closed days"),
                "join neighbouring days to ranges such as `2026-07-01..2026-07-31`",
            ));
        }
        self.closed.push(ClosedDays::parse(text)?);
        self.must_open()?;
        Ok(self)
    }

    /// Whether any moment of the local date is open, counting only ranges that begin on it.
    pub fn is_open_day(&self, date: Date) -> bool {
        !self.ranges(date).is_empty()
    }

    /// Whether the moment is open.
    pub fn is_open(&self, at: Timestamp, zone: &Zone) -> bool {
        self.is_open_local(zone.local(at))
    }

    /// The first open moment at or after `at`; `None` when there is none within five years.
    ///
    /// ```
    /// use hence_core::calendar::{Calendar, Zone};
    /// let hours = Calendar::parse_hours("mon-fri 08:00-18:00").unwrap();
    /// let saturday = "2026-03-07T12:00:00Z".parse().unwrap();
    /// assert_eq!(hours.next_open(saturday, &Zone::utc()).unwrap().to_string(), "2026-03-09T08:00:00Z");
    /// ```
    pub fn next_open(&self, at: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let last_day = zone.local(at).date().saturating_add(jiff::Span::new().days(SEARCH_DAYS_MAX));
        let mut from = at;
        // Between two changes of the rules local time runs evenly, so the local answer can be mapped back by subtraction.
        loop {
            let local = zone.local(from);
            if local.date() > last_day {
                return None;
            }
            let until = zone.next_transition(from);
            if let Some(open) = self.next_open_local(local, last_day) {
                let found = from.checked_add(local.duration_until(open)).ok()?;
                if until.is_none_or(|until| found < until) {
                    return Some(found);
                }
            }
            from = until?;
        }
    }

    /// The first moment at or after `at` that is not open, but not later than `limit`.
    pub fn open_until(&self, at: Timestamp, limit: Timestamp, zone: &Zone) -> Timestamp {
        let mut from = at;
        while from < limit {
            let local = zone.local(from);
            let Some(end) = self.open_end_local(local) else {
                return from;
            };
            let end = from.checked_add(local.duration_until(end)).unwrap_or(limit);
            let until = zone.next_transition(from).unwrap_or(limit);
            from = end.min(until);
        }
        limit
    }

    /// The local date `count` open days after (or before, when negative) `date`, which itself does not count.
    /// # Errors
    /// There is no open day within five years, or the date lies outside the years 1 to 9999.
    pub fn add_open_days(&self, date: Date, count: i32) -> Result<Date, CalendarError> {
        let mut day = date;
        let mut closed_run = 0;
        let mut left = count.unsigned_abs();
        while left > 0 {
            let next = if count > 0 { day.tomorrow() } else { day.yesterday() };
            day = next.map_err(|_| CalendarError::out_of_range())?;
            closed_run += 1;
            if self.is_open_day(day) {
                left -= 1;
                closed_run = 0;
            } else if closed_run > SEARCH_DAYS_MAX {
                return Err(never_opens());
            }
        }
        Ok(day)
    }

    /// Whether a local time lies in a range of its day, or in one that began the day before.
    fn is_open_local(&self, local: DateTime) -> bool {
        self.open_end_local(local).is_some()
    }

    /// The end of the range that holds a local time.
    fn open_end_local(&self, local: DateTime) -> Option<DateTime> {
        let days = [local.date().yesterday().ok(), Some(local.date())];
        days.into_iter()
            .flatten()
            .flat_map(|day| self.ranges(day).iter().filter_map(move |range| range.on(day)))
            .filter(|(start, end)| *start <= local && local < *end)
            .map(|(_, end)| end)
            .max()
    }

    /// The first open local time at or after `local`, on days up to `last_day`.
    fn next_open_local(&self, local: DateTime, last_day: Date) -> Option<DateTime> {
        let mut day = local.date().yesterday().unwrap_or(local.date());
        while day <= last_day {
            for (start, end) in self.ranges(day).iter().filter_map(|range| range.on(day)) {
                if local < end {
                    return Some(start.max(local));
                }
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    /// The ranges that begin on a date.
    fn ranges(&self, date: Date) -> &[OpenRange] {
        let weekday = date.weekday().to_monday_zero_offset();
        if self.closed.iter().any(|closed| closed.contains(date)) {
            return &[];
        }
        usize::try_from(weekday).ok().and_then(|weekday| self.week.get(weekday)).map_or(&[], Vec::as_slice)
    }

    /// Looks for an open day in 28 years, in which each date of the year meets each weekday.
    fn must_open(&self) -> Result<(), CalendarError> {
        let mut day = Date::constant(2024, 1, 1);
        let yearly: Vec<&ClosedDays> = self.closed.iter().filter(|closed| closed.is_yearly()).collect();
        while day.year() < 2052 {
            let weekday = usize::try_from(day.weekday().to_monday_zero_offset()).unwrap_or(0);
            if !self.week[weekday].is_empty() && !yearly.iter().any(|closed| closed.contains(day)) {
                return Ok(());
            }
            day = day.tomorrow().map_err(|_| CalendarError::out_of_range())?;
        }
        Err(never_opens())
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn never_opens() -> CalendarError {
    CalendarError::new(
        CalendarErrorKind::Hours,
        "the open hours leave no moment open",
        "open at least one day, such as `mon-fri 08:00-18:00`, or close fewer days",
    )
}

impl OpenRange {
    /// The local start and end of the range that begins on `day`.
    fn on(&self, day: Date) -> Option<(DateTime, DateTime)> {
        let midnight = day.to_datetime(Time::midnight());
        let at = |seconds: i32| midnight.checked_add(SignedDuration::from_secs(i64::from(seconds))).ok();
        // The last range of the year 9999 ends with the year.
        Some((at(self.start)?, at(self.end).unwrap_or(DateTime::MAX)))
    }
}
