//! Times as a person says them.
//!
//! Owns the words; the exact values stay with the caller. Leaves to others: colours and tables.

use std::fmt;

use jiff::civil::DateTime;
use jiff::{Timestamp, Unit, ZonedDateTime};

use super::zone::Zone;

/// How far `to` is from `from`: `now`, `in 3 days`, `2 hours ago`, `in 1 day 4 hours`.
///
/// Days and more are counted in the calendar of the zone. Small numbers carry a second unit; the rest is cut off.
///
/// ```
/// use hence_core::calendar::{in_words, Zone};
/// let from = "2026-03-02T10:00:00Z".parse().unwrap();
/// assert_eq!(in_words(from, "2026-03-05T10:00:00Z".parse().unwrap(), &Zone::utc()), "in 3 days");
/// assert_eq!(in_words(from, "2026-03-02T08:00:00Z".parse().unwrap(), &Zone::utc()), "2 hours ago");
/// ```
pub fn in_words(from: Timestamp, to: Timestamp, zone: &Zone) -> String {
    if from.duration_until(to).as_secs() == 0 {
        return "now".to_owned();
    }
    let words = distance(&zone.zoned(from.min(to)), &zone.zoned(from.max(to)));
    if from < to { format!("in {words}") } else { format!("{words} ago") }
}

fn distance(earlier: &ZonedDateTime, later: &ZonedDateTime) -> String {
    let difference = jiff::ZonedDateTimeDifference::new(later).largest(Unit::Year);
    // Years cannot fail to be counted between two instants that exist; if they do, the exact seconds are still true.
    let Ok(span) = earlier.until(difference) else {
        return format!("{} seconds", earlier.duration_until(later).as_secs());
    };
    let parts: [(i64, &str); 6] = [
        (span.get_years().into(), "year"),
        (span.get_months().into(), "month"),
        (span.get_days().into(), "day"),
        (span.get_hours().into(), "hour"),
        (span.get_minutes(), "minute"),
        (span.get_seconds(), "second"),
    ];
    let Some(first) = parts.iter().position(|(number, _)| *number != 0) else {
        return "1 second".to_owned();
    };
    let count = |(number, unit): (i64, &str)| format!("{number} {unit}{}", if number == 1 { "" } else { "s" });
    let second = parts.get(first + 1).filter(|(number, _)| *number != 0 && parts[first].0 < 3);
    match second {
        Some(second) => format!("{} {}", count(parts[first]), count(*second)),
        None => count(parts[first]),
    }
}

/// A local time for people: `Fri 2026-03-27 09:00`, with seconds when there are any.
pub(crate) struct LocalWords(pub(crate) DateTime);

impl fmt::Display for LocalWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.0;
        let time = if local.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
        write!(f, "{}", local.strftime(&format!("%a %Y-%m-%d {time}")))
    }
}
