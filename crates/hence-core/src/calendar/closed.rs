//! Closed days: one date, a date of each year, or a range of either.
//!
//! Owns their text form and the question whether a date is one. Leaves to others: hours.

use jiff::civil::Date;

use super::error::{CalendarError, CalendarErrorKind, shown};

/// Closed dates, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClosedDays {
    /// From one date to another.
    Dates { first: Date, last: Date },
    /// From one month and day to another in each year; over the end of the year when `last` is before `first`.
    Yearly { first: (i8, i8), last: (i8, i8) },
}

impl ClosedDays {
    pub(super) fn parse(text: &str) -> Result<Self, CalendarError> {
        let trimmed = text.trim();
        let (first, last) = trimmed.split_once("..").unwrap_or((trimmed, trimmed));
        match (date(first), date(last), month_and_day(first), month_and_day(last)) {
            (Some(first), Some(last), ..) if first <= last => Ok(Self::Dates { first, last }),
            (Some(_), Some(_), ..) => Err(refused(trimmed, "ends before it begins")),
            (_, _, Some(first), Some(last)) => Ok(Self::Yearly { first, last }),
            _ => Err(refused(trimmed, "is not a closed day")),
        }
    }

    pub(super) fn is_yearly(&self) -> bool {
        matches!(self, Self::Yearly { .. })
    }

    pub(super) fn contains(&self, date: Date) -> bool {
        match self {
            Self::Dates { first, last } => (*first..=*last).contains(&date),
            Self::Yearly { first, last } => {
                let day = (date.month(), date.day());
                if first <= last { (*first..=*last).contains(&day) } else { day >= *first || day <= *last }
            }
        }
    }
}

/// `2026-12-25`.
fn date(text: &str) -> Option<Date> {
    let text = text.trim();
    let is_plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    text.parse().ok().filter(|_| is_plain)
}

/// `12-25`, also `02-29`.
fn month_and_day(text: &str) -> Option<(i8, i8)> {
    let leap_date = date(&format!("2024-{}", text.trim()))?;
    Some((leap_date.month(), leap_date.day()))
}

fn refused(text: &str, problem: &str) -> CalendarError {
    CalendarError::new(
        CalendarErrorKind::Closed,
        format!("`{}` {problem}", shown(text)),
        "write `2026-12-25`, `12-25` for each year, or a range such as `2026-07-01..2026-07-31`",
    )
}
