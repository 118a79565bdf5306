//! Reading what a person writes on the command line: instants, spans, JSON, names.

use std::collections::{BTreeMap, BTreeSet};

use hence::Client;
use hence::core::name::{Name, NameError, TaskId};
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
        match local.to_zoned_datetime(self.zone.clone()) {
            Ok(zoned) => Some(zoned.timestamp()),
            // The last day of the year 9999 lies behind the last instant.
            Err(_) => (local.year() == 9999).then(|| Timestamp::from_second(Timestamp::MAX.as_second()).ok()).flatten(),
        }
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

/// A suggestion, and what else can be done.
pub(crate) fn or_else(suggestion: &str, other: &str) -> String {
    if suggestion.ends_with('?') { format!("{suggestion} Else {other}") } else { format!("{suggestion}; {other}") }
}

/// A name, an id or an entity.
/// # Errors
/// HNC-0330: it does not look like one.
pub(crate) fn parsed<T: std::str::FromStr<Err = NameError>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: NameError| Problem::usage("HNC-0330", error.to_string()))
}

/// Whether a text names a task: `task_7`, or `hnc_k3v7q2ma_7` as receivers, mails and the log know it.
pub(crate) fn is_task(text: &str) -> bool {
    text.starts_with("task_") || text.starts_with("hnc_")
}

/// A task of the client's store, by either of its names.
/// # Errors
/// HNC-0330: it does not look like one. HNC-0324: it is a task of another store.
pub(crate) async fn task_id(client: &Client, text: &str) -> Result<TaskId, Problem> {
    let Some((store, number)) = text.strip_prefix("hnc_").and_then(|rest| rest.split_once('_')) else { return parsed(text) };
    let id: TaskId = parsed(&format!("task_{number}"))?;
    let own = client.store().identity().await?.store_id;
    if store == own {
        return Ok(id);
    }
    Err(Problem::not_found(format!("{text} is a task of the store {store}; this one is {own}"))
        .help("name the other with `--store`"))
}

/// Refuses a timeline or a step that no stored definition has.
/// # Errors
/// HNC-0324, HNC-0330.
pub(crate) fn known(
    client: &Client,
    timeline: Option<&str>,
    step: Option<&str>,
) -> Result<(Option<Name>, Option<Name>), Problem> {
    let (timeline, step): (Option<Name>, Option<Name>) = (parsed_if(timeline)?, parsed_if(step)?);
    let library = client.library();
    if let Some(name) = &timeline {
        let names: BTreeSet<&str> = library.all().map(|definition| definition.name.as_str()).collect();
        if !names.contains(name.as_str()) {
            let names: Vec<&str> = names.into_iter().collect();
            let problem = Problem::not_found(format!("timeline `{name}` is not known"));
            return Err(problem.help(suggestion(name.as_str(), &names)));
        }
    }
    if let Some(name) = &step {
        let of = library.all().filter(|definition| timeline.as_ref().is_none_or(|timeline| *timeline == definition.name));
        let steps: BTreeSet<&str> = of.flat_map(|definition| &definition.steps).map(|step| step.name.as_str()).collect();
        if !steps.contains(name.as_str()) {
            let steps: Vec<&str> = steps.into_iter().collect();
            return Err(Problem::not_found(format!("step `{name}` is not known")).help(suggestion(name.as_str(), &steps)));
        }
    }
    Ok((timeline, step))
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
        check("9999-12-31", "9999-12-30T22:00:00Z");
        check("-5 days", "2026-03-23T11:00:00Z");
        check("soon", "refused");
    }
}
