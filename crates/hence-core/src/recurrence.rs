//! What comes again: `repeat`, cron patterns and recurrence rules, one occurrence after the other.
//!
//! Owns the identity of an occurrence: its [`Nominal`] time, which a change of clocks neither doubles nor loses.
//! Invariants, for each recurrence, start and zone: instants rise strictly, nominal times are unique and rise, and the
//! number counts from 1 without holes. All patterns are expanded in floating local time and mapped to instants by
//! [`Zone::resolve`], so one rule for gaps and folds holds everywhere; every search is bounded.
//!
//! Two nominal times never share an instant: one inside a gap, moved forward, that would come at or after the next one
//! outside it is left out, as that one takes its place. Leaves to others: open hours and spread (`due::settle`), events.

mod cron;
mod nominal;
mod repeat;
mod rule;

use std::fmt;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use crate::calendar::error::{CalendarError, CalendarErrorKind};
use crate::calendar::offset::Offset;
use crate::calendar::zone::{Resolved, Shift, Zone};
use crate::due::{Due, DueStep, shift_step};

pub use cron::Cron;
pub use nominal::Nominal;
pub use repeat::{Repeat, Until};
pub use rule::Rule;

/// How many nominal times in a row are tried before a recurrence counts as ended. A gap of a day holds 1,440 minutes.
const TRIES_MAX: usize = 3_000;

/// Where a recurrence begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The instant; no occurrence comes before it.
    pub at: Timestamp,
    /// The local time that was asked for; differs from that of the instant when it lies in a gap.
    pub nominal: DateTime,
}

impl Start {
    /// Beginning at an instant, at its local time.
    pub fn new(at: Timestamp, zone: &Zone) -> Self {
        Self { at, nominal: zone.local(at) }
    }
}

/// One turn of a recurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// Its identity within the recurrence.
    pub nominal: Nominal,
    /// The instant.
    pub at: Timestamp,
    /// Its number, from 1.
    pub number: u32,
}

/// What makes a step come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recurrence {
    /// Every so often from the start.
    Repeat(Repeat),
    /// At the local times of a cron pattern.
    Cron(Cron),
    /// At the local times of an RFC 5545 rule.
    Rule(Rule),
}

impl Recurrence {
    /// Every `every`, at most `times` times, at most until `until`.
    ///
    /// ```
    /// use hence_core::calendar::zone::{Zone, parse_instant};
    /// use hence_core::recurrence::{Recurrence, Start};
    /// let weekly = Recurrence::parse_repeat("7 days", Some(2), None).unwrap();
    /// let (at, zone) = parse_instant("2026-03-25T02:30[Europe/Oslo]", None).unwrap();
    /// let zone = zone.unwrap();
    /// let start = Start::new(at, &zone);
    /// let first = weekly.first(&start, &zone).unwrap();
    /// let second = weekly.next_after(&first, &start, &zone).unwrap();
    /// assert_eq!(second.nominal.to_string(), "2026-04-01T02:30");
    /// assert_eq!(weekly.next_after(&second, &start, &zone), None);
    /// ```
    /// # Errors
    /// Not a duration above zero, days mixed with hours, working days, less than a second, or `times = 0`.
    pub fn parse_repeat(every: &str, times: Option<u32>, until: Option<Until>) -> Result<Self, CalendarError> {
        Ok(Self::Repeat(Repeat::new(Offset::parse(every)?, times, until)?))
    }

    /// The local times of a cron pattern with five fields (minute, hour, day of month, month, weekday) or a nickname.
    /// # Errors
    /// Not such a pattern, or one that no date fulfils, such as `0 0 30 2 *`.
    pub fn parse_cron(pattern: &str) -> Result<Self, CalendarError> {
        Ok(Self::Cron(Cron::parse(pattern)?))
    }

    /// The local times of an RFC 5545 recurrence rule, such as `FREQ=MONTHLY;BYDAY=-1FR`.
    /// # Errors
    /// Not such a rule, one that no date fulfils, or one that is finer than hourly.
    pub fn parse_rrule(text: &str) -> Result<Self, CalendarError> {
        Ok(Self::Rule(Rule::parse(text)?))
    }

    /// The first occurrence, at or after the start.
    pub fn first(&self, start: &Start, zone: &Zone) -> Option<Occurrence> {
        self.bounded(self.find(None, start, zone)?, start, zone)
    }

    /// The occurrence after `last`, which may also be one of an older start or zone: the first later nominal time.
    ///
    /// Only `nominal` and `number` of `last` are looked at.
    pub fn next_after(&self, last: &Occurrence, start: &Start, zone: &Zone) -> Option<Occurrence> {
        self.bounded(self.find(Some(last), start, zone)?, start, zone)
    }

    /// What it is, in a few words: `every 7 days, 4 times`.
    pub fn describe(&self) -> String {
        match self {
            Self::Repeat(repeat) => repeat.to_string(),
            Self::Cron(cron) => cron.describe(),
            Self::Rule(rule) => rule.describe(),
        }
    }

    fn find(&self, last: Option<&Occurrence>, start: &Start, zone: &Zone) -> Option<Occurrence> {
        let number = match last {
            None => 1,
            Some(last) => last.number.checked_add(1)?,
        };
        if let Self::Repeat(repeat) = self
            && let Some(every) = repeat.elapsed()
        {
            let at = repeat::elapsed_after(every, last.map(|last| last.nominal.instant(zone)), start.at)?;
            return Some(Occurrence { nominal: Nominal::Instant(at), at, number });
        }
        let last = last.map(|last| last.nominal.local(zone));
        let resolved = self.find_local(last, start, zone)?;
        Some(Occurrence { nominal: Nominal::Local(resolved.nominal), at: resolved.at, number })
    }

    /// The first local time after `last` that is not before the start and not left out because of a gap.
    fn find_local(&self, last: Option<DateTime>, start: &Start, zone: &Zone) -> Option<Resolved> {
        let mut candidate = self.candidate(last, start)?;
        for _ in 0..TRIES_MAX {
            let resolved = if candidate == start.nominal {
                Resolved { nominal: candidate, at: start.at, shift: zone.resolve(candidate).ok()?.shift }
            } else {
                zone.resolve(candidate).ok()?
            };
            let next = match resolved.shift {
                _ if resolved.at < start.at => None,
                Some(Shift::Gap(_)) => Some(self.first_outside_gap(candidate, start, zone)),
                _ => return Some(resolved),
            };
            candidate = match next {
                None => self.candidate(Some(candidate), start)?,
                Some(Some(next)) if next.at <= resolved.at => next.nominal,
                Some(_) => return Some(resolved),
            };
        }
        None
    }

    /// The first nominal time after `local` that exists in the zone.
    fn first_outside_gap(&self, local: DateTime, start: &Start, zone: &Zone) -> Option<Resolved> {
        let mut candidate = local;
        for _ in 0..TRIES_MAX {
            candidate = self.candidate(Some(candidate), start)?;
            let resolved = zone.resolve(candidate).ok()?;
            if !matches!(resolved.shift, Some(Shift::Gap(_))) {
                return Some(resolved);
            }
        }
        None
    }

    /// The next nominal time of the pattern after `last`, or the first at or after the start.
    fn candidate(&self, last: Option<DateTime>, start: &Start) -> Option<DateTime> {
        match self {
            Self::Repeat(repeat) => repeat.local_after(last, start.nominal),
            Self::Cron(cron) => cron.local_after(last, start.nominal),
            Self::Rule(rule) => rule.local_after(last, start.nominal),
        }
    }

    /// The occurrence, when `times` and `until` let it be.
    fn bounded(&self, found: Occurrence, start: &Start, zone: &Zone) -> Option<Occurrence> {
        let (times, until) = match self {
            Self::Repeat(repeat) => (repeat.times(), repeat.until()),
            Self::Cron(_) => (None, None),
            Self::Rule(rule) => (rule.times(), rule.until()),
        };
        let in_number = times.is_none_or(|times| found.number <= times);
        let in_time = until.is_none_or(|until| until.admits(&found, start, zone));
        (in_number && in_time).then_some(found)
    }
}

impl Occurrence {
    /// The occurrence as the beginning of an explanation, to be finished by `due::settle`.
    pub fn into_due(self, anchor: Due, zone: &Zone) -> Due {
        let local = self.nominal.local(zone);
        let mut steps = anchor.steps;
        steps.push(DueStep::Occurrence { number: self.number, local });
        if let Nominal::Local(nominal) = self.nominal
            && let Ok(resolved) = zone.resolve(nominal)
        {
            steps.extend(shift_step(&resolved, zone));
        }
        Due { at: self.at, nominal: local, steps }
    }
}

impl fmt::Display for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

/// The shortest repeat.
const REPEAT_MIN: SignedDuration = SignedDuration::from_secs(1);

fn repeat_error(message: impl Into<String>, help: &str) -> CalendarError {
    CalendarError::new(CalendarErrorKind::Repeat, message, help)
}
