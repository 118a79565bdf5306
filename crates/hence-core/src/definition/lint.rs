//! What is allowed but probably not meant: warnings, each with a code HNC-02xx.
//!
//! A warning needs a reason that holds for every entity: what depends on facts stays silent. Leaves to others: errors (`check`).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::document::{Reader, in_units};
use super::format::Draft;
use super::{Anchor, Definition, Guarantee, Late, LateRule, RetryPolicy, Selection, Step, Trigger, codes};
use crate::calendar::Zone;
use crate::interpolation::Interpolation;
use crate::value::Value;

/// Looks for everything that is odd about a definition without errors.
pub(super) fn definition(reader: &mut Reader<'_>, definition: &Definition, draft: &Draft) {
    unused_facts(reader, definition, draft);
    unused_names(reader, definition, draft);
    idle_events(reader, definition);
    for (name, condition) in &definition.lets {
        constant(reader, &format!("let.{name}"), condition);
    }
    late_at_once(reader, "timeline.late", &definition.late);
    for step in &definition.steps {
        let path = format!("step.{}", step.name);
        if let Some(when) = &step.when {
            constant(reader, &format!("{path}.when"), when);
        }
        if let Some(late) = &step.late {
            late_at_once(reader, &format!("{path}.late"), late);
        }
        after_before(reader, definition, step);
        never(reader, definition, step);
        retry(reader, (definition, draft), step);
    }
    order(reader, definition);
}

/// A fact group that no step, zone or anchor looks at, or single fields of a group that is there for zone and anchor only.
fn unused_facts(reader: &mut Reader<'_>, definition: &Definition, draft: &Draft) {
    let paths: Vec<_> = definition.zone.from.iter().cloned().chain(anchors(definition)).collect();
    for (name, group) in &definition.facts {
        // A step that looks at one fact of a group is sent the whole group.
        if draft.scope.is_used(name.as_str()) {
            continue;
        }
        let used: Vec<_> = paths.iter().filter(|path| &path.group == name).map(|path| &path.field).collect();
        let help = "remove it, or use it in a condition";
        if used.is_empty() {
            reader.warn(codes::UNUSED_FACT, &format!("facts.{name}"), format!("nothing uses the facts of `{name}`"), help);
            continue;
        }
        for field in group.fields.keys().filter(|field| !used.contains(field)) {
            let path = format!("facts.{name}.fields.{field}");
            reader.warn(codes::UNUSED_FACT, &path, format!("nothing uses `{name}.{field}`"), help);
        }
    }
}

fn anchors(definition: &Definition) -> Vec<super::FactPath> {
    let own = definition.steps.iter().filter_map(|step| match &step.trigger {
        Trigger::Anchor(anchor) => anchor.as_ref(),
        Trigger::After { .. } => None,
    });
    let facts = std::iter::once(&definition.anchor).chain(own).filter_map(|anchor| match anchor {
        Anchor::Fact(path) => Some(path.clone()),
        Anchor::Given(_) => None,
    });
    facts.collect()
}

fn unused_names(reader: &mut Reader<'_>, definition: &Definition, draft: &Draft) {
    for (name, _) in &definition.lets {
        if !draft.scope.is_used(name.as_str()) {
            let message = format!("nothing uses the condition `{name}`");
            reader.warn(codes::UNUSED_LET, &format!("let.{name}"), message, format!("remove it, or write `when = \"{name}\"`"));
        }
    }
    let used: BTreeSet<_> = draft.steps.iter().filter_map(|step| step.calendar.as_ref()).collect();
    for name in draft.calendars.keys().filter(|name| !used.contains(name)) {
        let help = format!("remove it, or write `open = \"{name}\"`");
        reader.warn(codes::UNUSED_CALENDAR, &format!("calendar.{name}"), format!("nothing uses the calendar `{name}`"), help);
    }
}

fn idle_events(reader: &mut Reader<'_>, definition: &Definition) {
    for (event, reaction) in &definition.on {
        let path = super::document::joined("on", event.as_str());
        if reaction.cancel.is_none() && reaction.shift.is_none() && !reaction.recompute && reaction.erase.is_none() {
            let help = "say what it does: `cancel`, `shift`, `recompute` or `erase`";
            reader.warn(codes::IDLE_EVENT, &path, format!("`{event}` changes nothing"), help);
        }
        if reaction.cancel == Some(Selection::All) && reaction.shift.is_some() {
            let message = format!("`{event}` shifts what it has just cancelled");
            reader.warn(codes::IDLE_EVENT, &format!("{path}.shift"), message, "remove `shift`, or cancel single steps");
        }
        if reaction.shift.as_ref().is_some_and(|shift| shift.is_constant() && is_zero(shift)) {
            let message = format!("`{event}` shifts by nothing");
            reader.warn(codes::IDLE_EVENT, &format!("{path}.shift"), message, "write how far, or `recompute = true`");
        }
    }
}

fn is_zero(shift: &Interpolation) -> bool {
    crate::calendar::Offset::parse(&shift.to_string()).is_ok_and(|offset| offset.is_zero())
}

fn constant(reader: &mut Reader<'_>, path: &str, condition: &crate::expression::Expression) {
    let Some(value) = condition.constant() else { return };
    let (how, help) = match value {
        Value::Bool(false) => ("always false", "the step never happens: correct the condition, or remove the step"),
        Value::Bool(true) => ("always true", "remove the condition, or compare a fact"),
        _ => ("always the same", "use a fact, or write the value where it is used"),
    };
    reader.warn(codes::CONSTANT, path, format!("`{condition}` is {how}"), help);
}

fn late_at_once(reader: &mut Reader<'_>, path: &str, late: &LateRule) {
    let how = match late.then {
        Late::Run => return,
        Late::Skip => "skipped",
        Late::Hold => "held",
    };
    if late.after.is_zero() {
        let message = format!("a task that starts a moment after it is due is {how}");
        reader.warn(codes::LATE_AT_ONCE, path, message, "leave some time, such as `after = \"15 minutes\"`");
    }
}

/// The instant a step is due for an anchor in the first night of 2026, which has no clock changes near.
fn sample_due(step: &Step) -> Option<Timestamp> {
    let anchor = Timestamp::from_second(1_767_225_600).ok()?;
    step.due.from_instant(anchor, &Zone::utc(), step.open.as_ref()).map(|resolved| resolved.at).ok()
}

/// Whether two steps are counted from the same instant.
fn is_same_start(one: &Step, other: &Step) -> bool {
    one.trigger == other.trigger && one.recurrence.is_none() && other.recurrence.is_none()
}

fn after_before(reader: &mut Reader<'_>, definition: &Definition, step: &Step) {
    let Some(before) = step.before.as_ref().and_then(|before| definition.step(before)) else { return };
    if !is_same_start(step, before) {
        return;
    }
    let (Some(due), Some(limit)) = (sample_due(step), sample_due(before)) else { return };
    let is_spread_over = due == limit && step.spread > before.spread && step.at == before.at;
    let is_later_that_day = due == limit && matches!((step.at, before.at), (Some(at), Some(limit)) if at > limit);
    if due > limit || is_spread_over || is_later_that_day {
        let message = format!("`{}` can come after `{}`, which it must be before", step.name, before.name);
        let help = "it is then skipped: make `due` shorter, or remove `before`";
        reader.warn(codes::AFTER_BEFORE, &format!("step.{}.before", step.name), message, help);
    }
}

/// A follow-up of a built-in outcome that the step before cannot have.
fn never(reader: &mut Reader<'_>, definition: &Definition, step: &Step) {
    let Trigger::After { step: before, outcome, .. } = &step.trigger else { return };
    let Some(before) = definition.step(before) else { return };
    let late = before.late.as_ref().unwrap_or(&definition.late);
    let why = match outcome.as_str() {
        "skipped" if before.when.is_none() && before.before.is_none() => "it has neither `when` nor `before`",
        "expired" if late.then != Late::Skip => "its `late` rule does not say `skip`",
        "unknown" if before.delivery == Guarantee::AtLeastOnce => "it is delivered at least once",
        _ => return,
    };
    let message = format!("`{}` never ends with `{outcome}`: {why}", before.name);
    reader.warn(codes::NEVER, &format!("step.{}.after", step.name), message, "follow another outcome, or remove this step");
}

fn retry(reader: &mut Reader<'_>, (definition, draft): (&Definition, &Draft), step: &Step) {
    let has_own = draft.find(step.name.as_str()).is_some_and(|draft| draft.has_own_retry);
    if !has_own {
        return;
    }
    let path = format!("step.{}.retry", step.name);
    if step.delivery == Guarantee::AtMostOnce && step.retry.tries > 1 {
        let message = "`at_most_once` beside `retry`: only attempts that surely sent nothing are repeated".to_owned();
        reader.warn(codes::RETRY_UNKNOWN, &path, message, "write `retry = { tries = 1 }`, or leave `delivery` out");
    }
    let (Some(due), longest) = (sample_due(step), longest_retry(&step.retry)) else { return };
    let next = definition
        .steps
        .iter()
        .filter(|other| is_same_start(step, other))
        .filter_map(|other| Some((sample_due(other).filter(|at| *at > due)?, other)))
        .min_by_key(|(at, _)| *at);
    if let Some((at, next)) = next
        && longest > due.duration_until(at)
    {
        let message = format!("retries can go on for {}, past `{}`", rounded(longest), next.name);
        let help = "tasks of an entity wait for each other: give it fewer `tries` or shorter waits";
        reader.warn(codes::LONG_RETRY, &path, message, help);
    }
}

/// The longest time all retries can take, attempts themselves left out.
fn longest_retry(policy: &RetryPolicy) -> SignedDuration {
    let mut wait = policy.wait_first;
    let mut total = SignedDuration::ZERO;
    for _ in 1..policy.tries {
        total = total.saturating_add(wait);
        wait = wait.saturating_add(wait).min(policy.wait_max);
    }
    total
}

/// A length in whole hours or days where it is longer than these.
fn rounded(length: SignedDuration) -> String {
    let unit = [86_400, 3_600, 60].into_iter().find(|unit| length.as_secs() >= *unit).unwrap_or(1);
    in_units(SignedDuration::from_secs(length.as_secs() / unit * unit))
}

/// A follow-up that stands before what it follows, or a step that stands after a later one.
fn order(reader: &mut Reader<'_>, definition: &Definition) {
    for (index, step) in definition.steps.iter().enumerate() {
        let (earlier, later) = definition.steps.split_at(index);
        let path = format!("step.{}", step.name);
        if let Trigger::After { step: before, .. } = &step.trigger
            && later.iter().any(|other| &other.name == before)
        {
            let message = format!("`{}` stands before `{before}`, which it follows", step.name);
            reader.warn(codes::ORDER, &path, message, "move it down, so that the file reads as it happens");
        }
        let Some(due) = sample_due(step) else { continue };
        let previous = earlier.iter().rev().find(|other| is_same_start(step, other));
        if let Some(previous) = previous.filter(|previous| sample_due(previous).is_some_and(|at| at > due)) {
            let message = format!("`{}` stands after `{}`, but comes before it", step.name, previous.name);
            reader.warn(codes::ORDER, &path, message, "move it up, so that the file reads as it happens");
        }
    }
}
