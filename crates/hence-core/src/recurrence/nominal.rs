//! The identity of an occurrence, as text that is kept for years: `2026-03-29T02:30` or `2026-03-29T00:30:00Z`.
//!
//! Owns the text form. A pattern in local time is keyed by local time, elapsed time by the instant, so that the two
//! hours of a fold stay apart. Keys are in whole seconds, and keys of one kind sort as text as they do in time. Leaves to others: which occurrences there are.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::calendar::{CalendarError, CalendarErrorKind, Zone, shown};

/// The time an occurrence is named after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Nominal {
    /// A local time, which may lie in a gap.
    Local(DateTime),
    /// An instant, for recurrences of elapsed time.
    Instant(Timestamp),
}

impl Nominal {
    /// The local time in the zone.
    pub fn local(&self, zone: &Zone) -> DateTime {
        match self {
            Self::Local(local) => *local,
            Self::Instant(at) => zone.local(*at),
        }
    }

    /// The instant in the zone; an impossible one is the far end of time.
    pub(super) fn instant(&self, zone: &Zone) -> Timestamp {
        match self {
            Self::Local(local) => zone.resolve(*local).map_or(Timestamp::MAX, |resolved| resolved.at),
            Self::Instant(at) => *at,
        }
    }
}

impl fmt::Display for Nominal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (local, mark) = match self {
            Self::Local(local) => (*local, ""),
            Self::Instant(at) => (TimeZone::UTC.to_datetime(*at), "Z"),
        };
        // With a mark at its end, a shorter text would sort behind a longer one.
        let is_short = local.second() == 0 && mark.is_empty();
        let text = local.strftime(if is_short { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" });
        write!(f, "{text}{mark}")
    }
}

impl FromStr for Nominal {
    type Err = CalendarError;
    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let (local, is_instant) = match text.strip_suffix('Z') {
            Some(local) => (local, true),
            None => (text, false),
        };
        let error = || {
            CalendarError::new(
                CalendarErrorKind::Instant,
                format!("`{}` is not the key of an occurrence", shown(text)),
                "a key looks like `2026-03-29T02:30` or `2026-03-29T00:30:00Z`",
            )
        };
        let is_plain = local.bytes().all(|b| b.is_ascii_digit() || b"-T:".contains(&b)) && local.contains('T');
        let local: DateTime = local.parse().ok().filter(|_| is_plain).ok_or_else(error)?;
        if is_instant {
            Ok(Self::Instant(TimeZone::UTC.to_timestamp(local).map_err(|_| error())?))
        } else {
            Ok(Self::Local(local))
        }
    }
}
