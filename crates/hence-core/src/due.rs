//! From a rule and an anchor to the instant a task is due, with each step explained.
//!
//! Owns the order of the steps: anchor, offset (calendar part, then elapsed part), time of day, next open moment, spread.
//! Invariants: the same arguments give the same instant; the result is open when the rule has open hours; each adjustment
//! is a [`DueStep`]. Leaves to others: which instant is the anchor, `before` and `late`, and what comes again.

use std::fmt;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use crate::calendar::{Calendar, CalendarError, LocalWords, Offset, Resolved, Shift, TimeOfDay, Zone, in_range};
use crate::recurrence::Start;
use crate::spread;

/// The longest spread: a week.
pub const SPREAD_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);

/// When a task is due, seen from its anchor; [`DueRule::check`] says whether its parts fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRule {
    /// How far from the anchor.
    pub offset: Offset,
    /// At which local time of that day.
    pub at: Option<TimeOfDay>,
    /// When it may be due; otherwise it waits for the next open moment.
    pub open: Option<Calendar>,
    /// Up to how much later, differently for each entity.
    pub spread: Option<SignedDuration>,
}

/// Why a rule was refused, or has no instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DueError {
    /// `at` beside an offset with hours.
    #[error("`at = \"{at}\"` cannot stand beside `{offset}`, which has hours of its own")]
    TimeTwice {
        /// The offset with hours.
        offset: Offset,
        /// The time of day.
        at: TimeOfDay,
    },
    /// Working days without open hours.
    #[error("`{offset}` needs open hours to know which days are worked")]
    NoCalendar {
        /// The offset in working days.
        offset: Offset,
    },
    /// A spread below zero or above a week.
    #[error("a spread lies between 0 and 7 days")]
    SpreadOutOfRange,
    /// The open hours have no open moment within five years of the instant.
    #[error("`{open}` has no open moment within five years of {at}")]
    NeverOpen {
        /// The open hours.
        open: String,
        /// Where the search began.
        at: Timestamp,
    },
    /// The calendar could not compute it.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
}

impl DueError {
    /// What to do about it, as a sentence without a full stop.
    pub fn help(&self) -> &str {
        match self {
            Self::TimeTwice { .. } => "leave `at` out, or count in days",
            Self::NoCalendar { .. } => "give `open`, such as `open = \"mon-fri 08:00-18:00\"`",
            Self::SpreadOutOfRange => "write a spread such as `30 minutes`",
            Self::NeverOpen { .. } => "close fewer days",
            Self::Calendar(error) => error.help(),
        }
    }
}

/// When a task is due, and how that came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The instant.
    pub at: Timestamp,
    /// The local time the offset and time of day asked for, before gaps, open hours and spread.
    pub nominal: DateTime,
    /// What led to it, in order; the first is the anchor.
    pub steps: Vec<DueStep>,
}

/// One step on the way to an instant. Local times are of the zone the first step names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DueStep {
    /// It began here.
    Anchor {
        /// The anchor.
        at: Timestamp,
        /// The same in the zone.
        local: DateTime,
        /// The zone of all steps.
        zone: Zone,
    },
    /// The offset was added.
    Offset {
        /// How far.
        offset: Offset,
        /// Where it led.
        local: DateTime,
    },
    /// The time of day was set.
    TimeOfDay {
        /// The time of day.
        time: TimeOfDay,
        /// The date with it.
        local: DateTime,
    },
    /// It was the turn of an occurrence.
    Occurrence {
        /// Its number, from 1.
        number: Option<u32>,
        /// Its local time.
        local: DateTime,
    },
    /// The local time does not exist: clocks were put forward.
    Gap {
        /// The local time that was wanted.
        wanted: DateTime,
        /// By how much it moved.
        by: SignedDuration,
        /// Where it led.
        local: DateTime,
    },
    /// The local time comes twice: clocks were put back; the first was taken.
    Fold {
        /// The local time.
        local: DateTime,
    },
    /// It was not open; the next open moment was taken.
    Opened {
        /// When it was not open.
        closed: DateTime,
        /// The open hours.
        open: String,
        /// The next open moment.
        local: DateTime,
    },
    /// The peak was smoothed.
    Spread {
        /// The delay.
        by: SignedDuration,
        /// Where it led.
        local: DateTime,
    },
}

impl DueRule {
    /// A rule with an offset and nothing else.
    pub fn new(offset: Offset) -> Self {
        Self { offset, at: None, open: None, spread: None }
    }

    /// Whether the parts fit together; a rule that does never fails for another reason than an instant out of range.
    /// # Errors
    /// A time of day beside hours, working days without open hours, or a spread out of range.
    pub fn check(&self) -> Result<(), DueError> {
        if let Some(at) = self.at
            && self.offset.has_time_part()
        {
            return Err(DueError::TimeTwice { offset: self.offset, at });
        }
        if self.offset.needs_calendar() && self.open.is_none() {
            return Err(DueError::NoCalendar { offset: self.offset });
        }
        if self.spread.is_some_and(|spread| spread.is_negative() || spread > SPREAD_MAX) {
            return Err(DueError::SpreadOutOfRange);
        }
        Ok(())
    }
}

impl Due {
    /// Where a recurrence of this rule begins.
    pub fn start(&self) -> Start {
        Start { at: self.at, nominal: self.nominal }
    }
}

/// The instant a rule means for an anchor: [`begin`], then [`settle`].
///
/// ```
/// use hence_core::calendar::{Zone, parse_instant};
/// use hence_core::due::{self, DueRule};
/// let mut rule = DueRule::new("25 days".parse().unwrap());
/// rule.at = Some("09:00".parse().unwrap());
/// let (anchor, zone) = parse_instant("2026-03-02T10:00[Europe/Oslo]", None).unwrap();
/// let due = due::compute(&rule, anchor, &zone.unwrap(), 42).unwrap();
/// assert_eq!(due.at.to_string(), "2026-03-27T08:00:00Z");
/// assert_eq!(due.to_string(), "Mon 2026-03-02 10:00 (Europe/Oslo); plus 25 days: Fri 2026-03-27 10:00; \
///     at 09:00: Fri 2026-03-27 09:00");
/// ```
/// # Errors
/// As [`DueRule::check`]; the result lies outside the years 1 to 9999; nothing is open within five years.
pub fn compute(rule: &DueRule, anchor: Timestamp, zone: &Zone, spread_seed: u64) -> Result<Due, DueError> {
    settle(rule, begin(rule, anchor, zone)?, zone, spread_seed)
}

/// The first half: anchor, offset and time of day. A recurrence starts here.
/// # Errors
/// The result lies outside the years 1 to 9999, or no open day is found for working days.
pub fn begin(rule: &DueRule, anchor: Timestamp, zone: &Zone) -> Result<Due, DueError> {
    rule.check()?;
    let DueRule { offset, at, open, .. } = rule;
    let anchor_local = zone.local(anchor);
    let mut steps = vec![DueStep::Anchor { at: anchor, local: anchor_local, zone: zone.clone() }];
    let Some(time) = at else {
        let mut resolved = Resolved { nominal: anchor_local, at: anchor, shift: None };
        let (calendar_part, elapsed_part) = offset.split();
        for part in [calendar_part, elapsed_part].into_iter().filter(|part| !part.is_zero()) {
            resolved = part.from_instant(resolved.at, zone, open.as_ref())?;
            steps.push(DueStep::Offset { offset: part, local: resolved.nominal });
            steps.extend(shift_step(&resolved, zone));
        }
        return Ok(Due { at: in_range(resolved.at)?, nominal: resolved.nominal, steps });
    };
    let day = offset.add_to_date(anchor_local.date(), open.as_ref())?;
    if !offset.is_zero() {
        steps.push(DueStep::Offset { offset: *offset, local: day.to_datetime(anchor_local.time()) });
    }
    let resolved = zone.resolve(day.to_datetime(time.time()))?;
    steps.push(DueStep::TimeOfDay { time: *time, local: resolved.nominal });
    steps.extend(shift_step(&resolved, zone));
    Ok(Due { at: resolved.at, nominal: resolved.nominal, steps })
}

/// The second half: the next open moment, then the spread inside the open window. Each occurrence goes through it too.
///
/// A delay that would leave the open window starts again at its beginning, so it wraps within the window.
/// # Errors
/// Nothing is open within five years, or the result lies outside the years 1 to 9999.
pub fn settle(rule: &DueRule, mut due: Due, zone: &Zone, spread_seed: u64) -> Result<Due, DueError> {
    rule.check()?;
    let DueRule { open, spread, .. } = rule;
    if let Some(open) = open {
        let next = open.next_open(due.at, zone).ok_or_else(|| DueError::NeverOpen { open: open.to_string(), at: due.at })?;
        if next != due.at {
            let (closed, local) = (zone.local(due.at), zone.local(next));
            due.steps.push(DueStep::Opened { closed, open: open.to_string(), local });
            due.at = next;
        }
    }
    if let Some(spread) = spread {
        let mut delay = spread::delay(spread_seed, *spread);
        if let Some(open) = open {
            let limit = due.at.checked_add(*spread).unwrap_or(Timestamp::MAX);
            let window = due.at.duration_until(open.open_until(due.at, limit, zone));
            delay = wrapped(delay, window);
        }
        if !delay.is_zero() {
            due.at = due.at.checked_add(delay).map_err(|_| CalendarError::out_of_range())?;
            due.steps.push(DueStep::Spread { by: delay, local: zone.local(due.at) });
        }
    }
    in_range(due.at)?;
    Ok(due)
}

/// The step that tells of a gap or a fold, if there was one.
pub(crate) fn shift_step(resolved: &Resolved, zone: &Zone) -> Option<DueStep> {
    match resolved.shift? {
        Shift::Gap(by) => Some(DueStep::Gap { wanted: resolved.nominal, by, local: zone.local(resolved.at) }),
        Shift::Fold => Some(DueStep::Fold { local: resolved.nominal }),
    }
}

/// The delay modulo the window, in milliseconds; a window below that leaves none.
fn wrapped(delay: SignedDuration, window: SignedDuration) -> SignedDuration {
    if delay < window {
        return delay;
    }
    let rest = delay.as_millis().checked_rem(window.as_millis()).unwrap_or(0);
    SignedDuration::from_millis(i64::try_from(rest).unwrap_or(0))
}

/// One line: the steps joined by semicolons.
impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            let joint = if index == 0 { "" } else { "; " };
            write!(f, "{joint}{step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for DueStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anchor { local, zone, .. } => write!(f, "{} ({zone})", LocalWords(*local)),
            Self::Offset { offset, local } if offset.is_negative() => {
                write!(f, "{} before: {}", offset.negated(), LocalWords(*local))
            }
            Self::Offset { offset, local } => write!(f, "plus {offset}: {}", LocalWords(*local)),
            Self::TimeOfDay { time, local } => write!(f, "at {time}: {}", LocalWords(*local)),
            Self::Occurrence { number: Some(number), local } => write!(f, "occurrence {number}: {}", LocalWords(*local)),
            Self::Occurrence { number: None, local } => write!(f, "next occurrence: {}", LocalWords(*local)),
            Self::Gap { wanted, by, local } => write!(
                f,
                "{} does not exist there (clocks are put forward), moved forward by {}: {}",
                LocalWords(*wanted),
                Offset::elapsed(*by),
                LocalWords(*local)
            ),
            Self::Fold { local } => {
                write!(f, "{} comes twice there (clocks are put back), the first is taken", LocalWords(*local))
            }
            Self::Opened { closed, open, local } => {
                write!(f, "{} is not open ({open}), next open moment: {}", LocalWords(*closed), LocalWords(*local))
            }
            Self::Spread { by, local } => {
                write!(f, "spread by {}: {}", Offset::elapsed(*by), LocalWords(*local))
            }
        }
    }
}
