//! The grammar of weekly open hours.
//!
//! ```text
//! hours = item { "," item }
//! item  = days "closed" | days range { range } | range { range } | days
//! days  = "daily" | day [ "-" day ]          day = mon tue wed thu fri sat sun, or the whole English name
//! range = HH:MM "-" HH:MM                    an end at or before the start lies on the next day; 24:00 is an end only
//! ```
//!
//! An item with days only shares what the next item says (`sat,sun closed`); an item with ranges only adds to the days of
//! the item before (`mon-fri 08:00-12:00, 13:00-17:00`). Case does not matter. Leaves to others: dates and zones.

use super::error::{CalendarError, CalendarErrorKind, shown};
use super::time_of_day::day_seconds;

/// The longest text that is read, in bytes.
const TEXT_BYTES_MAX: usize = 1_000;
const DAY_SECONDS: i32 = 86_400;
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// An open range of one weekday, in seconds from its midnight; `end` is later than `start` and may lie on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OpenRange {
    /// 0..86,400.
    pub(super) start: i32,
    /// Up to one day after `start`.
    pub(super) end: i32,
}

/// What was said of each weekday so far.
#[derive(Default)]
struct Week {
    ranges: [Vec<OpenRange>; 7],
    is_closed: [bool; 7],
}

/// The ranges of each weekday, Monday first; sorted, and joined where they touch.
pub(super) fn parse(text: &str) -> Result<[Vec<OpenRange>; 7], CalendarError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(refused(text, "is too long for open hours"));
    }
    let lower = text.to_lowercase();
    let mut week = Week::default();
    let mut waiting: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = Vec::new();
    for item in lower.split(',') {
        let mut words: Vec<&str> = item.split_whitespace().collect();
        let Some(first) = words.first().copied() else {
            return Err(refused(text, "has an empty item between commas"));
        };
        if !first.starts_with(|c: char| c.is_ascii_digit()) {
            waiting.extend(days(first)?);
            words.remove(0);
            if words.is_empty() {
                continue;
            }
            last = std::mem::take(&mut waiting);
        } else if last.is_empty() || !waiting.is_empty() {
            return Err(refused(item, "does not say on which days"));
        }
        week.add(&last, &words)?;
    }
    if !waiting.is_empty() {
        return Err(refused(text, "ends with days that have no hours"));
    }
    week.finish(text)
}

impl Week {
    fn add(&mut self, days: &[usize], words: &[&str]) -> Result<(), CalendarError> {
        for day in days {
            if words == ["closed"] {
                self.is_closed[*day] = true;
                continue;
            }
            for word in words {
                self.ranges[*day].push(range(word)?);
            }
        }
        Ok(())
    }

    fn finish(mut self, text: &str) -> Result<[Vec<OpenRange>; 7], CalendarError> {
        for (day, ranges) in self.ranges.iter_mut().enumerate() {
            if self.is_closed[day] && !ranges.is_empty() {
                return Err(refused(text, &format!("says both open and closed for {}", DAYS[day])));
            }
            ranges.sort();
            ranges.dedup_by(|next, kept| {
                let touches = next.start <= kept.end;
                if touches {
                    kept.end = kept.end.max(next.end);
                }
                touches
            });
        }
        Ok(self.ranges)
    }
}

/// The weekdays of `mon`, `mon-fri`, `sat-mon` or `daily`, Monday being 0.
fn days(word: &str) -> Result<Vec<usize>, CalendarError> {
    if word == "daily" {
        return Ok((0..7).collect());
    }
    let day = |name: &str| {
        let short = name.len() == 3;
        DAYS.iter()
            .position(|day| *day == name || (short && day.starts_with(name)))
            .ok_or_else(|| refused(name, "is not a weekday"))
    };
    match word.split_once('-') {
        None => Ok(vec![day(word)?]),
        Some((first, last)) => {
            let (first, last) = (day(first)?, day(last)?);
            Ok((0..=(last + 7 - first) % 7).map(|step| (first + step) % 7).collect())
        }
    }
}

fn range(word: &str) -> Result<OpenRange, CalendarError> {
    let error = || refused(word, "is not a range of hours");
    let (start, end) = word.split_once('-').ok_or_else(error)?;
    let (start, end) = (day_seconds(start).ok_or_else(error)?, day_seconds(end).ok_or_else(error)?);
    if start == DAY_SECONDS {
        return Err(refused(word, "begins at the end of the day"));
    }
    if start == end {
        return Err(refused(word, "begins when it ends; the whole day is `00:00-24:00`"));
    }
    Ok(OpenRange { start, end: if end < start { end + DAY_SECONDS } else { end } })
}

fn refused(text: &str, problem: &str) -> CalendarError {
    CalendarError::new(
        CalendarErrorKind::Hours,
        format!("`{}` {problem}", shown(text.trim())),
        "write days and hours such as `mon-thu 08:00-12:00 13:00-17:00, fri 08:00-15:00` or `daily 09:00-21:00`",
    )
}
