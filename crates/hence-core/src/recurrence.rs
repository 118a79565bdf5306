//! What comes again: `repeat`, cron patterns and recurrence rules, one occurrence after the other.
//!
//! Owns the identity of an occurrence: its [`Nominal`] time, which a change of clocks neither doubles nor loses.
//! Invariants, for each recurrence, start and zone: instants rise strictly, nominal times are unique and rise, also as
//! text. An occurrence follows from the one before by its key alone, without counting through all. All patterns are expanded in floating local time and mapped to instants by
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

use crate::calendar::{CalendarError, CalendarErrorKind, Offset, Resolved, Shift, Zone};
use crate::due::{Due, DueStep, shift_step};

pub use cron::Cron;
pub use nominal::Nominal;
pub use repeat::{Repeat, Until};
pub use rule::Rule;

/// How many nominal times in a row are tried before a recurrence counts as ended. A gap of a day holds 1,440 minutes.
const TRIES_MAX: usize = 3_000;

/// Where a recurrence begins. A fraction of a second counts for the first occurrence only.
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
    /// Its place among the nominal times, from 1, where that is cheap to know: for `repeat` and for rules with a COUNT.
    pub number: Option<u32>,
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
    /// use hence_core::calendar::{Zone, parse_instant};
    /// use hence_core::recurrence::{Recurrence, Start};
    /// let weekly = Recurrence::parse_repeat("7 days", Some(2), None).unwrap();
    /// let (at, zone) = parse_instant("2026-03-25T02:30[Europe/Oslo]", None).unwrap();
    /// let zone = zone.unwrap();
    /// let start = Start::new(at, &zone);
    /// let first = weekly.first(&start, &zone).unwrap();
    /// let second = weekly.next_after(&first.nominal, &start, &zone).unwrap();
    /// assert_eq!(second.key(), "2026-04-01T02:30");
    /// assert_eq!(weekly.next_after(&second.nominal, &start, &zone), None);
    /// ```
    /// # Errors
    /// Not a duration above zero, days mixed with hours, working days, parts of a second, or `times = 0`.
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

    /// The first occurrence, at or after the start; `None` when there is none.
    pub fn first(&self, start: &Start, zone: &Zone) -> Option<Occurrence> {
        self.find(None, start, zone)
    }

    /// The occurrence after `last`; `None` when it was the last.
    ///
    /// `last` may also be of an older start or zone: then it is the first one with a later nominal time.
    pub fn next_after(&self, last: &Nominal, start: &Start, zone: &Zone) -> Option<Occurrence> {
        self.find(Some(last), start, zone)
    }

    /// The newest occurrence that is not after `until`; `None` when there is none.
    ///
    /// Looks back from `until` in doubling steps, then halves, so that years of occurrences are not walked through.
    pub fn newest_until(&self, until: Timestamp, start: &Start, zone: &Zone) -> Option<Occurrence> {
        let after = |back: SignedDuration| {
            let last = Nominal::Instant(until.checked_sub(back).ok()?);
            self.next_after(&last, start, zone).filter(|found| found.at <= until)
        };
        let mut newest = self.first(start, zone).filter(|found| found.at <= until)?;
        let (mut none, mut some) = (SignedDuration::ZERO, start.at.duration_until(until));
        while some - none > SignedDuration::from_secs(1) {
            // Near `until` first: what comes often is found within a few steps.
            let step = ((some - none).as_secs() / 2).min(none.as_secs()).max(1);
            let middle = none + SignedDuration::from_secs(step);
            match after(middle) {
                Some(found) => (some, newest) = (middle, found),
                None => none = middle,
            }
        }
        while let Some(next) = self.next_after(&newest.nominal, start, zone).filter(|next| next.at <= until) {
            newest = next;
        }
        Some(newest)
    }

    /// What it is, in a few words: `every 7 days, 4 times`.
    pub fn describe(&self) -> String {
        match self {
            Self::Repeat(repeat) => repeat.to_string(),
            Self::Cron(cron) => cron.describe(),
            Self::Rule(rule) => rule.describe(),
        }
    }

    fn find(&self, last: Option<&Nominal>, start: &Start, zone: &Zone) -> Option<Occurrence> {
        let found = match self {
            Self::Repeat(repeat) if repeat.elapsed().is_some() => {
                repeat.elapsed_after(last.map(|last| last.instant(zone)), start.at)?
            }
            _ => self.find_local(last.map(|last| last.local(zone)), start, zone)?,
        };
        let until = match self {
            Self::Repeat(repeat) => repeat.until(),
            Self::Cron(_) => None,
            Self::Rule(rule) => rule.until(),
        };
        until.is_none_or(|until| until.admits(&found, start, zone)).then_some(found)
    }

    /// The first local time after `last` that is not before the start and not left out because of a gap.
    fn find_local(&self, last: Option<DateTime>, start: &Start, zone: &Zone) -> Option<Occurrence> {
        let first_nominal = whole_second(start.nominal)?;
        let mut candidate = self.candidate(last, start)?;
        for _ in 0..TRIES_MAX {
            let mut resolved = zone.resolve(candidate.local).ok()?;
            if candidate.local == first_nominal && (candidate.local != start.nominal || resolved.at < start.at) {
                // The start itself, with its fraction of a second, or the second of two equal local times.
                resolved.at = start.at;
            }
            let found = Occurrence { nominal: Nominal::Local(candidate.local), at: resolved.at, number: candidate.number };
            if resolved.at < start.at {
                candidate = self.candidate(Some(candidate.local), start)?;
                continue;
            }
            if !matches!(resolved.shift, Some(Shift::Gap(_))) {
                return Some(found);
            }
            match self.first_outside_gap(candidate.local, start, zone) {
                Some((next, at)) if at <= found.at => candidate = next,
                _ => return Some(found),
            }
        }
        None
    }

    /// The first nominal time after `local` that exists in the zone, and its instant.
    fn first_outside_gap(&self, local: DateTime, start: &Start, zone: &Zone) -> Option<(Candidate, Timestamp)> {
        let mut candidate = self.candidate(Some(local), start)?;
        for _ in 0..TRIES_MAX {
            let Resolved { at, shift, .. } = zone.resolve(candidate.local).ok()?;
            if !matches!(shift, Some(Shift::Gap(_))) {
                return Some((candidate, at));
            }
            candidate = self.candidate(Some(candidate.local), start)?;
        }
        None
    }

    /// The next nominal time of the pattern after `last`, or the first at or after the start.
    fn candidate(&self, last: Option<DateTime>, start: &Start) -> Option<Candidate> {
        let number = None;
        match self {
            Self::Repeat(repeat) => repeat.local_after(last, whole_second(start.nominal)?),
            Self::Cron(cron) => Some(Candidate { local: cron.local_after(last, start.nominal)?, number }),
            Self::Rule(rule) => rule.local_after(last, start.nominal),
        }
    }
}

/// A local time of a pattern, before it is looked at in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    local: DateTime,
    number: Option<u32>,
}

/// The local time without its fraction of a second.
fn whole_second(local: DateTime) -> Option<DateTime> {
    local.with().subsec_nanosecond(0).build().ok()
}

impl Occurrence {
    /// Its identity as text, which sorts in time: `2026-03-29T02:30` or, for elapsed time, `2026-03-29T00:30:00Z`.
    pub fn key(&self) -> String {
        self.nominal.to_string()
    }

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

fn repeat_error(message: impl Into<String>, help: &str) -> CalendarError {
    CalendarError::new(CalendarErrorKind::Repeat, message, help)
}
