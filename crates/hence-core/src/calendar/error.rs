//! Why a text about time was refused, or an instant could not be computed.
//!
//! Owns the one error of all time texts. Leaves to others: where the text stands in a document (spans, codes).

/// Which kind of text or computation was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CalendarErrorKind {
    /// A time zone name.
    Zone,
    /// An instant or a local time.
    Instant,
    /// A duration such as `25 days`.
    Offset,
    /// A local time of day such as `09:00`.
    TimeOfDay,
    /// Weekly open hours.
    Hours,
    /// A closed day or a range of them.
    Closed,
    /// `repeat`, `times` or `until`.
    Repeat,
    /// A cron pattern.
    Cron,
    /// A recurrence rule (RFC 5545).
    Rule,
    /// The result lies outside the years 1 to 9999.
    Range,
}

/// A refused text or a result out of range: what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CalendarError {
    kind: CalendarErrorKind,
    message: String,
    help: String,
}

/// How much of a refused text is repeated in the message, in characters.
const SHOWN_CHARS_MAX: usize = 60;

impl CalendarError {
    pub(crate) fn new(kind: CalendarErrorKind, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: help.into() }
    }

    pub(crate) fn out_of_range() -> Self {
        Self::new(
            CalendarErrorKind::Range,
            "the computed time lies outside the years 1 to 9999",
            "use a shorter duration, or look whether the anchor is right",
        )
    }

    /// What was refused.
    pub fn kind(&self) -> CalendarErrorKind {
        self.kind
    }

    /// What to do about it, as a sentence without a full stop.
    pub fn help(&self) -> &str {
        &self.help
    }
}

/// The text as it may be repeated in a message: short and without control characters.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect();
    if text.chars().count() > SHOWN_CHARS_MAX {
        shown.push('…');
    }
    shown
}
