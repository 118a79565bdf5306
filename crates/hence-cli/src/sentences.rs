//! Reasons as sentences a person reads: one for each reason, with its instants in the zone of the reader.

use std::collections::BTreeMap;

use hence::core::reason::Reason;
use serde_json::Value;

use crate::output::Times;

/// The reason in one sentence, without a full stop.
pub(crate) fn sentence(reason: &Reason, times: &Times) -> String {
    match reason {
        Reason::Planned { definition, version, rule, anchor_at, steps, cause, .. } => {
            let counted = format!("{rule}, counted from {}", times.local(*anchor_at));
            format!("{definition} ({version}) wants it: {counted}{}{}", listed(steps), since(cause))
        }
        Reason::Followed { definition, version, after, outcome, task, rule, steps, .. } => {
            format!("{definition} ({version}) wants it: {after} (task_{task}) ended {outcome}; {rule}{}", listed(steps))
        }
        Reason::Enrolled { definition, version, run, actor } => {
            format!("enrolled in {definition} ({version}), run {run}, by {actor}")
        }
        Reason::Event { name, at, actor, data, text } => {
            let text = text.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
            let data = if data.is_null() { String::new() } else { format!(" with {data}") };
            format!("event {name}{text} of {}, told by {actor}{data}", times.local(*at))
        }
        Reason::Facts { facts, actor } => format!("facts told by {actor}: {facts}"),
        Reason::Condition { when, facts } => format!("`{when}` was false: {}", seen(facts)),
        Reason::Late { due_at, rule } => format!("too late for {}: {rule}", times.local(*due_at)),
        Reason::Before { step, how, at } => format!("it must come before {step}, which {how} {}", times.local(*at)),
        Reason::Answered { to, facts, when, result, possible_duplicate } => {
            let mut text = format!("delivered to {to}");
            if let Some(when) = when {
                text.push_str(&format!(", as `{when}` held"));
            }
            if !facts.is_empty() {
                text.push_str(&format!("; seen: {}", seen(facts)));
            }
            if !result.is_null() {
                text.push_str(&format!("; answered {result}"));
            }
            if *possible_duplicate {
                text.push_str("; it may have arrived twice");
            }
            text
        }
        Reason::Failed { code, problem, retry_at } => {
            let again = retry_at.map_or_else(|| "; no further attempt".to_owned(), |at| format!("; again {}", times.cell(at)));
            format!("failed: {problem} ({code}){again}")
        }
        Reason::NodeLost { .. } => "its engine was lost during the attempt".to_owned(),
        Reason::Person { actor, text } if text.is_empty() => format!("asked for by {actor}"),
        Reason::Person { actor, text } => format!("asked for by {actor}: {text}"),
        Reason::Unplanned { cause, because } => format!("no longer wanted since {cause}: {}", sentence(because, times)),
        Reason::Moved { from, cause, because } => {
            format!("moved from {} by {cause}: {}", times.local(*from), sentence(because, times))
        }
        Reason::NoAnchor { anchor } => format!("`{anchor}`, which it is counted from, is not known"),
        Reason::NotFollowed { after, outcome, ended: None } => {
            format!("it follows {after} ending {outcome}, which has not ended yet")
        }
        Reason::NotFollowed { after, outcome, ended: Some(ended) } => {
            format!("it follows {after} ending {outcome}, which ended {ended}")
        }
        Reason::NoInstant { problem } => format!("its instant cannot be computed: {problem}"),
        Reason::NoMore { rule } => format!("the recurrence is over: {rule}"),
        Reason::AdHoc { actor, text } if text.is_empty() => format!("scheduled by {actor}"),
        Reason::AdHoc { actor, text } => format!("scheduled by {actor}: {text}"),
        Reason::Refused { code, problem } => format!("refused: {problem} ({code})"),
        Reason::Note { text } => text.clone(),
        // Reasons are only ever added; one of a newer release is shown as it is stored.
        other => format!("{other:?}"),
    }
}

fn listed(steps: &[String]) -> String {
    steps.iter().map(|step| format!("; {step}")).collect()
}

fn since(cause: &str) -> String {
    if cause.is_empty() || cause == "enrolled" { String::new() } else { format!("; planned anew by {cause}") }
}

fn seen(facts: &BTreeMap<String, Value>) -> String {
    if facts.is_empty() {
        return "no facts".to_owned();
    }
    facts.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ")
}
