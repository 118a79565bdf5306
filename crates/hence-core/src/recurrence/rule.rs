//! RFC 5545 recurrence rules, expanded by the rrule crate in floating local time.
//!
//! Owns which rules are accepted, `COUNT` and `UNTIL` (read here, so that the library needs no zone), and a start near
//! the wanted time, so that finding the thousandth occurrence does not walk through a thousand. An occurrence is a match
//! of the rule: the start itself counts only when it matches. Leaves gaps and folds to the parent.

use chrono::{Datelike, NaiveDate, Timelike};
use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Span, Timestamp};
use rrule::{Frequency, RRule, RRuleSet, Tz, Unvalidated};

use super::{Candidate, Until};
use crate::calendar::{CalendarError, CalendarErrorKind, shown};

/// The longest rule that is read, in bytes.
const TEXT_BYTES_MAX: usize = 500;
/// The largest COUNT: the place of an occurrence is found by counting from the first.
const COUNT_MAX: u32 = 10_000;
/// The most steps of the interval that the start is moved back to find one on the same day of the month.
const STEPS_BACK_MAX: i64 = 60;

/// A recurrence rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    text: String,
    parsed: RRule<Unvalidated>,
    times: Option<u32>,
    until: Option<Until>,
}

impl Rule {
    /// Reads `FREQ=MONTHLY;BYDAY=-1FR`, also with `RRULE:` before it.
    /// # Errors
    /// Not such a rule, one finer than hourly, one with an empty count, or one that no date fulfils.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(refused(text, "is too long"));
        }
        // The library cuts weekdays by bytes; no part of a rule has other characters (RFC 5545).
        if !text.is_ascii() {
            return Err(refused(text, "has a character that is not ASCII"));
        }
        let upper = text.trim().to_uppercase();
        let upper = upper.strip_prefix("RRULE:").unwrap_or(&upper);
        let mut kept: Vec<&str> = Vec::new();
        let (mut times, mut until) = (None, None);
        for part in upper.split(';').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("COUNT", count)) => times = Some(count_of(text, count)?),
                Some(("UNTIL", end)) => until = Some(end_of(text, end)?),
                Some(("FREQ", "SECONDLY" | "MINUTELY")) => return Err(too_fine(text)),
                Some(("DTSTART" | "BYEASTER" | "EXDATE" | "RDATE", _)) | None => {
                    return Err(refused(text, &format!("has a part that is not known here: `{}`", shown(part))));
                }
                Some(_) => kept.push(part),
            }
        }
        let parsed: RRule<Unvalidated> =
            kept.join(";").parse().map_err(|error| refused(text, &format!("is refused: {}", sentence(&error))))?;
        let rule = Self { text: upper.to_owned(), parsed, times, until };
        rule.check(text)?;
        Ok(rule)
    }

    /// The rule as written, in capitals.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many occurrences there are at most (`COUNT`).
    pub fn times(&self) -> Option<u32> {
        self.times
    }

    /// The last moment (`UNTIL`).
    pub fn until(&self) -> Option<Until> {
        self.until
    }

    pub(super) fn describe(&self) -> String {
        format!("by the rule {}", self.text)
    }

    /// The first match after `last`, or at or after `start`.
    pub(super) fn local_after(&self, last: Option<DateTime>, start: DateTime) -> Option<Candidate> {
        let last = last.filter(|last| *last >= start);
        // The library knows whole seconds only; the next whole second keeps every match at or after the start.
        let start = second_not_before(start)?;
        let is_later = |found: &DateTime| last.is_none_or(|last| *found > last);
        let Some(times) = self.times else {
            let from = last.and_then(|last| self.near_start(start, last)).unwrap_or(start);
            let local = self.expand(from)?.into_iter().map_while(civil).find(is_later)?;
            return Some(Candidate { local, number: None });
        };
        let counted = (1..=times).zip(self.expand(start)?.into_iter().map_while(civil));
        let (number, local) = counted.into_iter().find(|(_, found)| is_later(found))?;
        Some(Candidate { local, number: Some(number) })
    }

    /// The matches from a start, bounded by the library to 100,000 fruitless periods.
    fn expand(&self, start: DateTime) -> Option<RRuleSet> {
        let start = chrono_utc(start)?;
        let rule = self.parsed.clone().validate(start).ok()?;
        Some(RRuleSet::new(start).rrule(rule).limit())
    }

    /// The latest start in step with `start` that is not after `last`: a whole number of intervals later, at the same
    /// time and, where the rule takes the day from the start, on the same day.
    fn near_start(&self, start: DateTime, last: DateTime) -> Option<DateTime> {
        let interval = i64::from(self.parsed.get_interval()).max(1);
        let elapsed = start.duration_until(last).as_secs();
        let hours = |hours: i64| start.checked_add(SignedDuration::from_hours(hours)).ok();
        match self.parsed.get_freq() {
            Frequency::Hourly => hours(elapsed / 3600 / interval * interval),
            Frequency::Daily => hours(elapsed / 86_400 / interval * interval * 24),
            Frequency::Weekly => hours(elapsed / (7 * 86_400) / interval * interval * 7 * 24),
            Frequency::Monthly => same_day(start, last, interval),
            Frequency::Yearly => same_day(start, last, interval * 12),
            Frequency::Minutely | Frequency::Secondly => None,
        }
    }

    /// Tries the rule, with an interval of one, from the beginning of a leap year and from each month of it.
    fn check(&self, text: &str) -> Result<(), CalendarError> {
        let probe = Self { parsed: self.parsed.clone().interval(1), ..self.clone() };
        for month in 1..=12 {
            let start = Date::new(2024, month, 1).map_err(|_| CalendarError::out_of_range())?;
            let at = chrono_utc(start.to_datetime(Time::midnight())).ok_or_else(CalendarError::out_of_range)?;
            if let Err(error) = self.parsed.clone().validate(at) {
                return Err(refused(text, &format!("is refused: {}", sentence(&error))));
            }
            if probe.local_after(None, start.to_datetime(Time::midnight())).is_some() {
                return Ok(());
            }
        }
        Err(refused(text, "names a date that never comes"))
    }
}

/// `start` plus the most steps of `months` that lead to the same day of the month, not after `last`.
fn same_day(start: DateTime, last: DateTime, months: i64) -> Option<DateTime> {
    let month = |local: DateTime| i64::from(local.year()) * 12 + i64::from(local.month());
    let steps = (month(last) - month(start)) / months;
    (0..STEPS_BACK_MAX.min(steps + 1))
        .filter_map(|back| start.checked_add(Span::new().try_months((steps - back) * months).ok()?).ok())
        .find(|moved| moved.day() == start.day() && *moved <= last)
}

/// The local time, or the next whole second when it has a fraction.
fn second_not_before(local: DateTime) -> Option<DateTime> {
    let whole = local.with().subsec_nanosecond(0).build().ok()?;
    if whole == local { Some(whole) } else { whole.checked_add(SignedDuration::from_secs(1)).ok() }
}

fn chrono_utc(local: DateTime) -> Option<chrono::DateTime<Tz>> {
    let part = |number: i8| u32::from(number.unsigned_abs());
    let date = NaiveDate::from_ymd_opt(local.year().into(), part(local.month()), part(local.day()))?;
    let naive = date.and_hms_opt(part(local.hour()), part(local.minute()), part(local.second()))?;
    naive.and_local_timezone(Tz::UTC).single()
}

fn civil(found: chrono::DateTime<Tz>) -> Option<DateTime> {
    let part = |number: u32| i8::try_from(number).ok();
    let date = Date::new(i16::try_from(found.year()).ok()?, part(found.month())?, part(found.day())?).ok()?;
    let time = Time::new(part(found.hour())?, part(found.minute())?, part(found.second())?, 0).ok()?;
    Some(date.to_datetime(time))
}

fn count_of(text: &str, count: &str) -> Result<u32, CalendarError> {
    let error = || refused(text, &format!("has a COUNT that is not from 1 to {COUNT_MAX}"));
    count.parse().ok().filter(|count| (1..=COUNT_MAX).contains(count)).ok_or_else(error)
}

/// `20261231` (that whole day), `20261231T120000` (local) or `20261231T120000Z`.
fn end_of(text: &str, end: &str) -> Result<Until, CalendarError> {
    let error = || refused(text, "has an UNTIL that is not like `20261231` or `20261231T120000Z`");
    let is_plain = end.bytes().all(|b| b.is_ascii_digit() || b == b'T' || b == b'Z');
    if !is_plain {
        return Err(error());
    }
    match end.len() {
        8 => end.parse::<Date>().map(|date| Until::Local(date.to_datetime(Time::MAX))).map_err(|_| error()),
        15 => end.parse().map(Until::Local).map_err(|_| error()),
        16 => end.parse::<Timestamp>().map(Until::Instant).map_err(|_| error()),
        _ => Err(error()),
    }
}

/// The library's message without its full stop.
fn sentence(error: &dyn std::fmt::Display) -> String {
    error.to_string().trim_end_matches('.').to_owned()
}

fn too_fine(text: &str) -> CalendarError {
    CalendarError::new(
        CalendarErrorKind::Rule,
        format!("recurrence rule `{}` is finer than hourly", shown(text.trim())),
        "use `repeat = \"15 minutes\"`, or `FREQ=DAILY` with BYHOUR and BYMINUTE",
    )
}

fn refused(text: &str, problem: &str) -> CalendarError {
    CalendarError::new(
        CalendarErrorKind::Rule,
        format!("recurrence rule `{}` {problem}", shown(text.trim())),
        "write a rule such as `FREQ=MONTHLY;BYDAY=-1FR` or `FREQ=WEEKLY;BYDAY=MO,TH;COUNT=10`",
    )
}
