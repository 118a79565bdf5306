//! The words of a reason: one plain sentence for each variant, without a full stop.
//!
//! Instants are written in the zone of the reader, always with its name. The match has no wildcard, so a new reason cannot come
//! without its sentence. Leaves to others: which reasons answer a question (`why`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::Reason;
use crate::calendar::{LocalWords, Zone};
use crate::name::TaskId;

impl Reason {
    /// The reason in one plain sentence without a full stop; its instants as clocks in `zone` show them.
    ///
    /// ```
    /// use hence_core::{calendar::Zone, reason::Reason};
    /// let reason = Reason::NoAnchor { anchor: "account.started_at".to_owned() };
    /// assert_eq!(reason.sentence(&Zone::utc()), "`account.started_at`, which it is counted from, is not known");
    /// ```
    pub fn sentence(&self, zone: &Zone) -> String {
        match self {
            Self::Planned { definition, version, rule, anchor_at, zone: counted_in, steps, cause } => {
                let elsewhere = if counted_in == zone.name() { String::new() } else { format!("; counted in {counted_in}") };
                let due = due(rule, *anchor_at, steps, zone);
                format!("{due}{elsewhere}{}; definition {definition} {version}", planned_when(cause))
            }
            Self::Followed { definition, version, after, outcome, task, anchor_at, rule, steps } => {
                let (task, due) = (TaskId(*task), due(rule, *anchor_at, steps, zone));
                format!("{after} ({task}) ended {outcome}; {due}; definition {definition} {version}")
            }
            Self::NotFollowed { after, outcome, ended } => match ended {
                None => format!("it follows {after} with {outcome}, and {after} has not ended"),
                Some(ended) => format!("it follows {after} with {outcome}, but {after} ended {ended}"),
            },
            Self::Enrolled { definition, version, run, actor } => {
                format!("enrolled by {actor}, run {run}; definition {definition} {version}")
            }
            Self::Event { name, at, actor, data, text } => {
                let is_empty = data.is_null() || data.as_object().is_some_and(serde_json::Map::is_empty);
                let carried = if is_empty { String::new() } else { format!(" with {data}") };
                let word = text.as_ref().map_or_else(String::new, |text| format!(" ({text})"));
                format!("{name}{carried} on {}, told by {actor}{word}", instant(*at, zone))
            }
            Self::Facts { facts, actor } => format!("facts by {actor}: {}", grouped(facts)),
            Self::Condition { when, facts } => format!("the condition `{when}` was false{}", seen(": ", facts)),
            Self::Late { due_at, rule } => format!("it was due {}; {rule}", instant(*due_at, zone)),
            Self::Before { step, how, at } => format!("it must come before {step}, which {how} {}", instant(*at, zone)),
            Self::Answered { to, facts, when, result, possible_duplicate } => {
                let condition = when.as_ref().map_or_else(String::new, |when| format!("; the condition `{when}` was true"));
                let answer = if result.is_null() { String::new() } else { format!("; answered {result}") };
                let twice = if *possible_duplicate { "; it may have arrived twice" } else { "" };
                format!("delivered as {to}{condition}{}{answer}{twice}", seen("; seen: ", facts))
            }
            Self::Failed { code, problem, retry_at } => match retry_at {
                None => format!("{problem} ({code}); no attempt follows"),
                Some(at) => format!("{problem} ({code}); next attempt {}", instant(*at, zone)),
            },
            Self::NodeLost { fence } => format!("its engine was lost in the middle of the attempt (fence {fence})"),
            Self::Person { actor, text } => by_person("asked for by", actor, text),
            Self::RunAgain { task, actor, text } => {
                by_person(&format!("what {} did once more, asked for by", TaskId(*task)), actor, text)
            }
            Self::AdHoc { actor, text } => by_person("scheduled by", actor, text),
            Self::Unplanned { cause, because } => {
                format!("no longer wanted after {}: {}", happened(cause), because.sentence(zone))
            }
            Self::Moved { from, because, .. } if because.is_of_person() => {
                format!("moved from {}, {}", instant(*from, zone), because.sentence(zone))
            }
            Self::Moved { from, cause, because } => {
                format!("moved from {} after {}: {}", instant(*from, zone), happened(cause), because.sentence(zone))
            }
            Self::NoAnchor { anchor } => format!("`{anchor}`, which it is counted from, is not known"),
            Self::NoInstant { problem } => format!("its instant cannot be computed: {problem}"),
            Self::NoMore { rule } => format!("the recurrence is over: {rule}"),
            Self::Refused { code, problem } => format!("refused: {problem} ({code})"),
            Self::Note { text } => text.clone(),
        }
    }
}

/// An instant as a person reads it: `Fri 2026-03-27 09:00 (Europe/Oslo)`.
pub(crate) fn instant(at: Timestamp, zone: &Zone) -> String {
    format!("{} ({zone})", LocalWords(zone.local(at)))
}

/// The rule with the instant of its anchor put in, and what bent it: `due 25 days after created_at (…), at 09:00`.
fn due(rule: &str, anchor_at: Timestamp, steps: &[String], zone: &Zone) -> String {
    // The planner puts the anchor's name before the first comma of a rule.
    let (from, rest) = rule.find(", ").map_or((rule, ""), |comma| rule.split_at(comma));
    let bent: String = steps.iter().skip(1).filter(|step| !is_plain(step)).map(|step| format!("; {step}")).collect();
    format!("due {from} ({} {zone}){rest}{bent}", LocalWords(zone.local(anchor_at)))
}

/// Whether a step of the way to an instant only repeats what the rule says: its offset and its time of day.
fn is_plain(step: &str) -> bool {
    step.starts_with("plus ") || step.starts_with("at ") || step.contains(" before: ")
}

fn planned_when(cause: &str) -> String {
    if cause.is_empty() { String::new() } else { format!("; planned when {}", happened(cause)) }
}

/// What made a plan be made; a plan that nothing is known to have made was made by looking again.
fn happened(cause: &str) -> &str {
    if cause.is_empty() { "planning anew" } else { cause }
}

fn by_person(did: &str, actor: &str, text: &str) -> String {
    if text.is_empty() { format!("{did} {actor}") } else { format!("{did} {actor}: {text}") }
}

/// The facts that were looked at, after `lead`; nothing when there were none.
fn seen(lead: &str, facts: &BTreeMap<String, Value>) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let facts: Vec<String> = facts.iter().map(|(path, value)| format!("{path} was {}", plain(value))).collect();
    format!("{lead}{}", facts.join(", "))
}

/// Facts by group, by path: `account.email is a@example.com`.
fn grouped(facts: &Value) -> String {
    let groups = facts.as_object().into_iter().flatten();
    let fields = groups.flat_map(|(group, fields)| {
        fields.as_object().into_iter().flatten().map(move |(field, value)| format!("{group}.{field} is {}", plain(value)))
    });
    let fields: Vec<String> = fields.collect();
    if fields.is_empty() { "none".to_owned() } else { fields.join(", ") }
}

/// A value, a text without the quotes of JSON where it can stand in a sentence.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains(char::is_control) => text.clone(),
        other => other.to_string(),
    }
}
