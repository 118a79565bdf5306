//! How far from an instant: `25 days`, `-3 days`, `P25D`, `2 days 3h`, `3 working days`.
//!
//! Owns the two kinds of time: years, months, weeks and days are steps in the calendar of a zone, hours and below are
//! elapsed time. The calendar part is applied first, at the same local time of day, then the elapsed part. Nothing is
//! silently cut: a result outside the years 1 to 9999 is an error. Leaves to others: time of day, open hours.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::fmt::friendly::{Designator, Direction, Spacing, SpanPrinter};
use jiff::{SignedDuration, Span, Timestamp};

use super::Calendar;
use super::error::{CalendarError, CalendarErrorKind, shown};
use super::zone::{Resolved, Zone, in_range};

/// The longest text that is read, in bytes.
const TEXT_BYTES_MAX: usize = 100;
/// The most working days that are counted: 38 years of them.
const WORKING_DAYS_MAX: u32 = 10_000;

/// A duration rule: calendar units, elapsed time and, instead of both, working days. All parts have one sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Offset(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Span { years: i16, months: i32, weeks: i32, days: i32, elapsed: SignedDuration },
    WorkingDays(i32),
}

impl Offset {
    /// No time at all: the anchor itself.
    pub const ZERO: Self = Self(Kind::Span { years: 0, months: 0, weeks: 0, days: 0, elapsed: SignedDuration::ZERO });

    /// Reads a friendly (`25 days`, `2 days 3h`, `3 days ago`, `-3 days`) or ISO 8601 (`P25D`, `-P3D`) duration, or
    /// `3 working days`.
    ///
    /// ```
    /// use hence_core::calendar::Offset;
    /// assert_eq!(Offset::parse("P25D").unwrap().to_string(), "25 days");
    /// assert_eq!(Offset::parse("2d 3h").unwrap().to_string(), "2 days 3 hours");
    /// assert!(Offset::parse("soon").is_err());
    /// ```
    /// # Errors
    /// Not a duration, or one of more than about 20,000 years.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let trimmed = text.trim();
        if trimmed.len() > TEXT_BYTES_MAX {
            return Err(refused(trimmed, "is too long for a duration"));
        }
        let lower = trimmed.to_lowercase();
        if let Some(count) = ["working days", "working day"].iter().find_map(|unit| lower.strip_suffix(unit)) {
            return working_days(trimmed, count);
        }
        let span: Span = trimmed.parse().map_err(|_| refused(trimmed, "is not a duration"))?;
        Self::from_span(&span).ok_or_else(|| refused(trimmed, "is too long for a duration"))
    }

    /// Elapsed time only.
    pub fn elapsed(elapsed: SignedDuration) -> Self {
        Self(Kind::Span { years: 0, months: 0, weeks: 0, days: 0, elapsed })
    }

    /// Calendar days only.
    pub fn days(days: i32) -> Self {
        Self(Kind::Span { years: 0, months: 0, weeks: 0, days, elapsed: SignedDuration::ZERO })
    }

    fn from_span(span: &Span) -> Option<Self> {
        let elapsed = SignedDuration::from_secs(i64::from(span.get_hours()).checked_mul(3600)?)
            .checked_add(SignedDuration::from_secs(span.get_minutes().checked_mul(60)?))?
            .checked_add(SignedDuration::from_secs(span.get_seconds()))?
            .checked_add(SignedDuration::from_millis(span.get_milliseconds()))?
            .checked_add(SignedDuration::from_micros(span.get_microseconds()))?
            .checked_add(SignedDuration::from_nanos(span.get_nanoseconds()))?;
        // What cannot be written in words could be neither shown nor hashed.
        with_elapsed(Span::new(), elapsed)?;
        Some(Self(Kind::Span {
            years: span.get_years(),
            months: span.get_months(),
            weeks: span.get_weeks(),
            days: span.get_days(),
            elapsed,
        }))
    }

    /// Whether hours, minutes or anything shorter is part of it; then no time of day can be given beside it.
    pub fn has_time_part(&self) -> bool {
        matches!(self.0, Kind::Span { elapsed, .. } if !elapsed.is_zero())
    }

    /// Whether years, months, weeks, days or working days are part of it.
    pub fn has_calendar_part(&self) -> bool {
        match self.0 {
            Kind::Span { years, months, weeks, days, .. } => (years, months, weeks, days) != (0, 0, 0, 0),
            Kind::WorkingDays(_) => true,
        }
    }

    /// Whether it counts the open days of a calendar.
    pub fn needs_calendar(&self) -> bool {
        matches!(self.0, Kind::WorkingDays(_))
    }

    /// Whether it goes back in time.
    pub fn is_negative(&self) -> bool {
        match self.0 {
            Kind::Span { years, months, weeks, days, elapsed } => {
                years < 0 || months < 0 || weeks < 0 || days < 0 || elapsed.is_negative()
            }
            Kind::WorkingDays(count) => count < 0,
        }
    }

    /// Whether it is no time at all.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// The calendar part and the elapsed part.
    pub fn split(&self) -> (Self, Self) {
        match self.0 {
            Kind::Span { years, months, weeks, days, elapsed } => {
                (Self(Kind::Span { years, months, weeks, days, elapsed: SignedDuration::ZERO }), Self::elapsed(elapsed))
            }
            Kind::WorkingDays(_) => (*self, Self::ZERO),
        }
    }

    /// The same length the other way.
    pub fn negated(&self) -> Self {
        match self.0 {
            Kind::Span { years, months, weeks, days, elapsed } => {
                Self(Kind::Span { years: -years, months: -months, weeks: -weeks, days: -days, elapsed: -elapsed })
            }
            Kind::WorkingDays(count) => Self(Kind::WorkingDays(-count)),
        }
    }

    /// As a rule in a sentence: `25 days after created_at`, `3 days before created_at`, `at created_at`.
    pub fn after_in_words(&self, from: &str) -> String {
        if self.is_zero() {
            format!("at {from}")
        } else if self.is_negative() {
            format!("{} before {from}", self.negated())
        } else {
            format!("{self} after {from}")
        }
    }

    /// The elapsed time, when there is no calendar part: only then is it the same length everywhere.
    pub fn as_elapsed(&self) -> Option<SignedDuration> {
        match self.0 {
            Kind::Span { elapsed, .. } if !self.has_calendar_part() => Some(elapsed),
            _ => None,
        }
    }

    /// The instant this far from `at`, in the zone. Adding nothing gives `at` itself.
    ///
    /// ```
    /// use hence_core::calendar::{Offset, Zone};
    /// let oslo = Zone::parse("Europe/Oslo").unwrap();
    /// let day = Offset::parse("1 day").unwrap();
    /// // The night in which summer time begins has 23 hours.
    /// let at = day.add_to("2026-03-28T12:00:00Z".parse().unwrap(), &oslo).unwrap();
    /// assert_eq!(at.to_string(), "2026-03-29T11:00:00Z");
    /// ```
    /// # Errors
    /// The result lies outside the years 1 to 9999, or it counts working days, for which [`Self::from_instant`] is.
    pub fn add_to(&self, at: Timestamp, zone: &Zone) -> Result<Timestamp, CalendarError> {
        Ok(self.from_instant(at, zone, None)?.at)
    }

    /// The instant this far from `at`, with the wanted local time and how that had to be bent; with an elapsed part
    /// there is no wanted local time, and the real one is given.
    /// # Errors
    /// As [`Self::add_to`]; working days without a calendar, or with one that has no open day within five years.
    pub fn from_instant(&self, at: Timestamp, zone: &Zone, calendar: Option<&Calendar>) -> Result<Resolved, CalendarError> {
        let local = zone.local(at);
        let day = self.add_to_date(local.date(), calendar)?;
        // Staying on the day must not turn the second of two equal local times into the first.
        let mut resolved = if day == local.date() {
            Resolved { nominal: local, at, shift: None }
        } else {
            zone.resolve(day.to_datetime(local.time()))?
        };
        if let Kind::Span { elapsed, .. } = self.0
            && !elapsed.is_zero()
        {
            resolved.at = resolved.at.checked_add(elapsed).map_err(|_| CalendarError::out_of_range())?;
            resolved.nominal = zone.local(resolved.at);
            resolved.shift = None;
        }
        in_range(resolved.at)?;
        Ok(resolved)
    }

    /// The local date the calendar part leads to; the elapsed part is left out.
    /// # Errors
    /// As [`Self::from_instant`].
    pub fn add_to_date(&self, date: Date, calendar: Option<&Calendar>) -> Result<Date, CalendarError> {
        let day = match self.0 {
            Kind::Span { .. } => date.checked_add(self.calendar_span(1)?).map_err(|_| CalendarError::out_of_range())?,
            Kind::WorkingDays(count) => {
                let calendar = calendar.ok_or_else(|| {
                    CalendarError::new(
                        CalendarErrorKind::Offset,
                        format!("`{self}` needs open hours to know which days are worked"),
                        "give `open`, such as `open = \"mon-fri 08:00-18:00\"`",
                    )
                })?;
                calendar.add_open_days(date, count)?
            }
        };
        if day.year() >= 1 { Ok(day) } else { Err(CalendarError::out_of_range()) }
    }

    /// The local time `times` times this far from `start`, each counted from `start`, so that month ends do not drift.
    pub(crate) fn step_from(&self, start: DateTime, times: i64) -> Result<DateTime, CalendarError> {
        start.checked_add(self.calendar_span(times)?).map_err(|_| CalendarError::out_of_range())
    }

    fn calendar_span(&self, times: i64) -> Result<Span, CalendarError> {
        let Kind::Span { years, months, weeks, days, .. } = self.0 else {
            return Ok(Span::new());
        };
        let times = |number: i64| number.checked_mul(times).ok_or_else(CalendarError::out_of_range);
        let (years, months, weeks, days) =
            (times(years.into())?, times(months.into())?, times(weeks.into())?, times(days.into())?);
        Span::new()
            .try_years(years)
            .and_then(|span| span.try_months(months))
            .and_then(|span| span.try_weeks(weeks))
            .and_then(|span| span.try_days(days))
            .map_err(|_| CalendarError::out_of_range())
    }
}

impl FromStr for Offset {
    type Err = CalendarError;
    fn from_str(text: &str) -> Result<Self, CalendarError> {
        Self::parse(text)
    }
}

/// In words, in one form for each value: `25 days`, `-1 day 12 hours`, `0 days`. Can be read back.
impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            _ if self.is_zero() => f.write_str("0 days"),
            Kind::WorkingDays(count @ (1 | -1)) => write!(f, "{count} working day"),
            Kind::WorkingDays(count) => write!(f, "{count} working days"),
            Kind::Span { years, months, weeks, days, elapsed } => {
                let printer = SpanPrinter::new()
                    .direction(Direction::Sign)
                    .designator(Designator::Verbose)
                    .spacing(Spacing::BetweenUnitsAndDesignators);
                let span = Span::new().years(years).months(months).weeks(weeks).days(days);
                let span = with_elapsed(span, elapsed).ok_or(fmt::Error)?;
                f.write_str(&printer.span_to_string(&span))
            }
        }
    }
}

fn with_elapsed(span: Span, elapsed: SignedDuration) -> Option<Span> {
    let seconds = elapsed.as_secs();
    let nanos = i64::from(elapsed.subsec_nanos());
    span.try_hours(seconds / 3600)
        .and_then(|span| span.try_minutes(seconds / 60 % 60))
        .and_then(|span| span.try_seconds(seconds % 60))
        .and_then(|span| span.try_milliseconds(nanos / 1_000_000))
        .and_then(|span| span.try_microseconds(nanos / 1_000 % 1_000))
        .and_then(|span| span.try_nanoseconds(nanos % 1_000))
        .ok()
}

fn working_days(text: &str, count: &str) -> Result<Offset, CalendarError> {
    let count: i32 = count.trim().parse().map_err(|_| refused(text, "is not a number of working days"))?;
    match count {
        0 => Err(CalendarError::new(
            CalendarErrorKind::Offset,
            "`0 working days` says nothing",
            "write `0 days` and let `open` move it to the next open moment",
        )),
        _ if count.unsigned_abs() <= WORKING_DAYS_MAX => Ok(Offset(Kind::WorkingDays(count))),
        _ => Err(refused(text, &format!("is more than {WORKING_DAYS_MAX} working days"))),
    }
}

fn refused(text: &str, problem: &str) -> CalendarError {
    CalendarError::new(
        CalendarErrorKind::Offset,
        format!("`{}` {problem}", shown(text)),
        "write `25 days`, `-3 days`, `2 days 3h`, `P25D` or `3 working days`",
    )
}
