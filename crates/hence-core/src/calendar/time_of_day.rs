//! A local time of day, such as `09:00`.
//!
//! Owns its text form. Leaves to others: on which day, in which zone.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Time;

use super::error::{CalendarError, CalendarErrorKind, shown};

/// A local time of day from 00:00 to 23:59:59, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeOfDay(Time);

impl TimeOfDay {
    /// Reads `09:00` or `09:00:30`.
    /// # Errors
    /// Anything else, also `24:00` and `9:00`.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let seconds = day_seconds(text.trim());
        match seconds.and_then(time_at) {
            Some(time) => Ok(Self(time)),
            None => Err(CalendarError::new(
                CalendarErrorKind::TimeOfDay,
                format!("`{}` is not a time of day", shown(text)),
                if text.trim().starts_with("24:") {
                    "a day ends at 23:59:59: write `00:00` and count one day more"
                } else {
                    "write hours and minutes with two digits each, such as `09:00`, or `09:00:30`"
                },
            )),
        }
    }

    /// The time as jiff has it.
    pub fn time(self) -> Time {
        self.0
    }
}

impl FromStr for TimeOfDay {
    type Err = CalendarError;
    fn from_str(text: &str) -> Result<Self, CalendarError> {
        Self::parse(text)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())?;
        if self.0.second() != 0 {
            write!(f, ":{:02}", self.0.second())?;
        }
        Ok(())
    }
}

/// The seconds from midnight of `HH:MM` or `HH:MM:SS`, 0..=86,400 (`24:00`).
pub(super) fn day_seconds(text: &str) -> Option<i32> {
    let parts: Vec<&str> = text.split(':').collect();
    let number = |part: &&str, below: i32| -> Option<i32> {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        part.parse().ok().filter(|number| digits && *number < below)
    };
    let (hours, minutes, seconds) = match parts.as_slice() {
        [hours, minutes] => (number(hours, 25)?, number(minutes, 60)?, 0),
        [hours, minutes, seconds] => (number(hours, 25)?, number(minutes, 60)?, number(seconds, 60)?),
        _ => return None,
    };
    Some(hours * 3600 + minutes * 60 + seconds).filter(|total| *total <= 86_400)
}

fn time_at(seconds: i32) -> Option<Time> {
    let part = |number: i32| i8::try_from(number).ok();
    Time::new(part(seconds / 3600)?, part(seconds / 60 % 60)?, part(seconds % 60)?, 0).ok()
}
