//! Cron patterns, matched by the croner crate on floating local time.
//!
//! Owns which patterns are accepted and the proof, at parse time, that a date fulfils one. Leaves gaps and folds to the
//! parent: the library never sees a zone.

use std::cmp::Ordering;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::time::{CivilDateTime, CronDateTime, Resolution, Weekday};
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};

use crate::calendar::{CalendarError, CalendarErrorKind, shown};

/// The longest pattern that is read, in bytes.
const TEXT_BYTES_MAX: usize = 200;
const NICKNAMES: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// A cron pattern that some date fulfils.
#[derive(Debug, Clone)]
pub struct Cron {
    text: String,
    parsed: croner::Cron,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cron {}

impl Cron {
    /// Reads five fields (minute, hour, day of month, month, weekday) or a nickname such as `@daily`.
    /// # Errors
    /// Not such a pattern, or one that no date fulfils.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        if text.len() > TEXT_BYTES_MAX {
            return Err(refused(text, "is too long"));
        }
        match fields.as_slice() {
            [nickname] if NICKNAMES.contains(&nickname.to_lowercase().as_str()) => {}
            [_, _, _, _, _] => {}
            _ => return Err(refused(text, &format!("has {} fields instead of 5", fields.len()))),
        }
        let text = fields.join(" ");
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let parsed = parser.parse(&text).map_err(|error| refused(&text, &format!("is refused: {}", sentence(&error))))?;
        let cron = Self { text, parsed };
        if cron.comes_ever() { Ok(cron) } else { Err(refused(&cron.text, "names a date that never comes")) }
    }

    /// The pattern as written, with single spaces.
    pub fn pattern(&self) -> &str {
        &self.text
    }

    /// In words, with the pattern.
    pub(super) fn describe(&self) -> String {
        let words = self.parsed.describe();
        let words = words.trim_end_matches('.');
        let mut chars = words.chars();
        let lower = chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect());
        format!("{lower} (cron `{}`)", self.text)
    }

    /// The first match after `last`, or at or after `start`.
    pub(super) fn local_after(&self, last: Option<DateTime>, start: DateTime) -> Option<DateTime> {
        let (from, inclusive) = match last.filter(|last| *last >= start) {
            Some(last) => (last, false),
            None => (start, true),
        };
        // The library knows whole seconds only: a start with a fraction lies after its own second.
        let inclusive = inclusive && from.subsec_nanosecond() == 0;
        let from = from.with().subsec_nanosecond(0).build().ok()?;
        self.parsed.find_next_occurrence(&Floating(from), inclusive).ok().map(|found| found.0)
    }

    /// Looks through 28 years, in which each date of the year meets each weekday; the time of day can always be met.
    fn comes_ever(&self) -> bool {
        let pattern = &self.parsed.pattern;
        let mut day = Date::constant(2001, 1, 1);
        while day.year() < 2029 {
            let (month, number) = (u32::from(day.month().unsigned_abs()), u32::from(day.day().unsigned_abs()));
            if pattern.month_match(month).unwrap_or(false)
                && pattern.day_match(day.year().into(), month, number, weekday(day)).unwrap_or(false)
            {
                return true;
            }
            let Ok(next) = day.tomorrow() else { return false };
            day = next;
        }
        false
    }
}

/// A local time without a zone, as the library wants to see one.
#[derive(Debug, Clone, PartialEq)]
struct Floating(DateTime);

impl CronDateTime for Floating {
    fn to_civil(&self) -> CivilDateTime {
        let part = |number: i8| u32::from(number.unsigned_abs());
        let date = croner::time::CivilDate::from_parts_unchecked(self.0.year().into(), part(self.0.month()), part(self.0.day()));
        let (hour, minute, second) = (part(self.0.hour()), part(self.0.minute()), part(self.0.second()));
        CivilDateTime::new(date, croner::time::CivilTime::from_parts_unchecked(hour, minute, second))
    }

    fn civil_weekday(&self) -> Weekday {
        weekday(self.0.date())
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let part = |number: u32| i8::try_from(number).map_err(|_| CronError::InvalidDate);
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let date = Date::new(year, part(civil.month())?, part(civil.day())?).map_err(|_| CronError::InvalidDate)?;
        let time = jiff::civil::Time::new(part(civil.hour())?, part(civil.minute())?, part(civil.second())?, 0)
            .map_err(|_| CronError::InvalidTime)?;
        Ok(Resolution::Single(Self(date.to_datetime(time))))
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

fn weekday(date: Date) -> Weekday {
    Weekday::from_days_from_sunday(u32::from(date.weekday().to_sunday_zero_offset().unsigned_abs()))
}

/// The library's message without its capital and full stop.
fn sentence(error: &CronError) -> String {
    let text = match error {
        CronError::InvalidPattern(text) | CronError::IllegalCharacters(text) | CronError::ComponentError(text) => text.clone(),
        other => other.to_string(),
    };
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
}

fn refused(text: &str, problem: &str) -> CalendarError {
    CalendarError::new(
        CalendarErrorKind::Cron,
        format!("cron pattern `{}` {problem}", shown(text.trim())),
        "write five fields, minute hour day-of-month month weekday, such as `0 9 * * mon-fri`",
    )
}
