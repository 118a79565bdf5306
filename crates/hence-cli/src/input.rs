//! Reading what a person writes on the command line: instants, spans, JSON, names.

use std::collections::BTreeMap;

use hence::core::name::{Name, NameError};
use hence::core::value::parse_time;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::Value;

use crate::problem::Problem;

/// What instants are read against.
#[derive(Debug, Clone)]
pub(crate) struct Now {
    pub(crate) at: Timestamp,
    pub(crate) zone: TimeZone,
}

impl Now {
    /// `now`, `2026-03-02T10:00Z`, `2026-03-02T10:00[Europe/Oslo]`, a local time, a day,
    /// `tomorrow`, `tomorrow 9:00`, or a span from now: `3 days`, `2h ago`.
    /// # Errors
    /// HNC-0330: it is none of these.
    pub(crate) fn instant(&self, text: &str) -> Result<Timestamp, Problem> {
        let text = text.trim();
        let found = if text == "now" { Some(self.at) } else { None };
        let found = found
            .or_else(|| parse_time(text))
            .or_else(|| self.local(text))
            .or_else(|| self.day(text))
            .or_else(|| self.after(text));
        let at = found.and_then(|at| Timestamp::from_microsecond(at.as_microsecond()).ok());
        at.ok_or_else(|| {
            Problem::usage("HNC-0330", format!("`{text}` is not an instant"))
                .help("write it as `2026-03-02T10:00Z`, `2026-03-02T10:00[Europe/Oslo]`, `2026-03-02`, `3 days` or `2 hours ago`")
        })
    }

    fn local(&self, text: &str) -> Option<Timestamp> {
        let local: DateTime = text.parse().ok()?;
        Some(local.to_zoned_datetime(self.zone.clone()).ok()?.timestamp())
    }

    /// `today`, `tomorrow` or `yesterday` at the time of now, or at a time of its own.
    fn day(&self, text: &str) -> Option<Timestamp> {
        let (day, time) = text.split_once(' ').map_or((text, None), |(day, time)| (day, Some(time.trim())));
        let now = self.at.to_zoned_datetime(self.zone.clone()).datetime();
        let date = match day {
            "today" => now.date(),
            "tomorrow" => now.date().tomorrow().ok()?,
            "yesterday" => now.date().yesterday().ok()?,
            _ => return None,
        };
        let time = match time {
            None => now.time(),
            Some(text) => format!("{text:0>5}").parse::<Time>().ok()?,
        };
        Some(date.to_datetime(time).to_zoned_datetime(self.zone.clone()).ok()?.timestamp())
    }

    fn after(&self, text: &str) -> Option<Timestamp> {
        let span: Span = text.strip_prefix("in ").or_else(|| text.strip_prefix('+')).unwrap_or(text).trim().parse().ok()?;
        Some(self.at.to_zoned_datetime(self.zone.clone()).checked_add(span).ok()?.timestamp())
    }

    /// `name=instant` pairs.
    /// # Errors
    /// HNC-0330: one is not such a pair.
    pub(crate) fn instants(&self, pairs: &[String]) -> Result<BTreeMap<Name, Timestamp>, Problem> {
        let mut instants = BTreeMap::new();
        for pair in pairs {
            let Some((name, text)) = pair.split_once('=') else {
                return Err(
                    Problem::usage("HNC-0330", format!("`{pair}` is not `name=instant`")).help("such as `created_at=2026-03-02`")
                );
            };
            instants.insert(parsed::<Name>(name)?, self.instant(text)?);
        }
        Ok(instants)
    }
}

/// The nearest of the known words, or all of them.
pub(crate) fn suggestion(word: &str, known: &[&str]) -> String {
    let near = known.iter().map(|known| (strsim::damerau_levenshtein(word, known), known)).min();
    match near {
        Some((distance, near)) if distance <= 2 => format!("did you mean `{near}`?"),
        Some(_) => format!("known here: {}", known.join(", ")),
        None => "none is known yet".to_owned(),
    }
}

/// A name, an id or an entity.
/// # Errors
/// HNC-0330: it does not look like one.
pub(crate) fn parsed<T: std::str::FromStr<Err = NameError>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: NameError| Problem::usage("HNC-0330", error.to_string()))
}

/// The same where there may be none.
pub(crate) fn parsed_if<T: std::str::FromStr<Err = NameError>>(text: Option<&str>) -> Result<Option<T>, Problem> {
    text.map(parsed).transpose()
}

/// A JSON object, written out or as `@file`; null for nothing.
/// # Errors
/// HNC-0333: it is not JSON, or not an object.
pub(crate) fn object(text: Option<&str>) -> Result<Value, Problem> {
    let Some(text) = text else { return Ok(Value::Null) };
    let text = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|error| Problem::file("read", path.as_ref(), &error))?,
        None => text.to_owned(),
    };
    match serde_json::from_str(&text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => {
            Err(Problem::usage("HNC-0333", "a JSON object is needed")
                .help(r#"such as '{"account": {"email": "a@example.com"}}'"#))
        }
        Err(error) => {
            Err(Problem::usage("HNC-0333", format!("this is not JSON: {error}"))
                .help("write it between single quotes, or as @FILE"))
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: every documented way to write an instant is read. Method: a table against one now.
    use super::*;

    fn check(text: &str, expected: &str) {
        let zone = TimeZone::get("Europe/Oslo").unwrap();
        let now = Now { at: "2026-03-28T11:00:00Z".parse().unwrap(), zone };
        let found = now.instant(text).map_or_else(|_| "refused".to_owned(), |at| at.to_string());
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn instants_are_read_in_every_documented_form() {
        check("now", "2026-03-28T11:00:00Z");
        check("2026-03-02T10:00Z", "2026-03-02T10:00:00Z");
        check("2026-03-02T10:00[America/New_York]", "2026-03-02T15:00:00Z");
        check("2026-03-02T10:00", "2026-03-02T09:00:00Z");
        check("2026-07-01", "2026-06-30T22:00:00Z");
        check("1 day", "2026-03-29T10:00:00Z");
        check("in 2h", "2026-03-28T13:00:00Z");
        check("2 hours ago", "2026-03-28T09:00:00Z");
        check("today 9:30", "2026-03-28T08:30:00Z");
        check("tomorrow", "2026-03-29T10:00:00Z");
        check("tomorrow 09:00", "2026-03-29T07:00:00Z");
        check("yesterday", "2026-03-27T11:00:00Z");
        check("tomorrow noon", "refused");
        check("soon", "refused");
    }
}
