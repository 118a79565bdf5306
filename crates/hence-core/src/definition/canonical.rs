//! The normalised form of a definition, and its hash.
//!
//! One line for each key that differs from its default, `path = value`, paths in a fixed order, values in one spelling. So comments,
//! the order of keys, the spelling of durations and defaults that are written out change nothing, and a key that a later version
//! adds leaves the hashes of older documents alone. What does not change what happens does not take part: `about` and `[[test]]`.
//! The order of steps does: it breaks ties. Never change a line that exists: waiting timelines know their version by this hash.

use std::collections::BTreeMap;
use std::fmt::Display;

use jiff::SignedDuration;
use sha2::{Digest, Sha256};

use super::format::RETRY_DEFAULT;
use super::{
    Again, Anchor, Definition, Destination, FactSource, FollowClock, Guarantee, Late, LateRule, NewStep, Selection, Step, Trigger,
};
use crate::name::{DefinitionHash, Name};
use crate::recurrence::Recurrence;

/// The hash of a definition whose `hash` is not set yet; `open` is how each step's open hours and closed days were written.
pub(super) fn hash(definition: &Definition, open: &BTreeMap<Name, String>) -> DefinitionHash {
    let digest = Sha256::digest(text(definition, open).as_bytes());
    DefinitionHash(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The normalised form.
pub(super) fn text(definition: &Definition, open: &BTreeMap<Name, String>) -> String {
    let mut lines = Lines(String::from("hence definition 1\n"));
    head(&mut lines, definition);
    facts(&mut lines, definition);
    let lets: BTreeMap<_, _> = definition.lets.iter().map(|(name, expression)| (name, expression)).collect();
    for (name, expression) in lets {
        lines.put("let", name, expression);
    }
    for step in &definition.steps {
        self::step(&mut lines, step, open.get(&step.name));
    }
    events(&mut lines, definition);
    change_and_audit(&mut lines, definition);
    lines.0
}

struct Lines(String);

impl Lines {
    /// Each value is escaped, so that no value can look like another line.
    fn put(&mut self, table: &str, key: impl Display, value: impl Display) {
        let value = value.to_string().replace('\\', "\\\\").replace('\n', "\\n");
        self.0.push_str(&format!("{table}.{key} = {value}\n"));
    }

    fn put_some(&mut self, table: &str, key: impl Display, value: Option<impl Display>) {
        if let Some(value) = value {
            self.put(table, key, value);
        }
    }

    fn put_late(&mut self, table: &str, late: &LateRule) {
        let then = match late.then {
            Late::Run => "run",
            Late::Skip => "skip",
            Late::Hold => "hold",
        };
        self.put(table, "late", format!("{} {then}", exact(late.after)));
    }
}

/// A length in seconds, with a fraction where there is one.
fn exact(length: SignedDuration) -> String {
    match length.subsec_nanos() {
        0 => format!("{}s", length.as_secs()),
        nanos => format!("{}s {nanos}ns", length.as_secs()),
    }
}

fn anchor(anchor: &Anchor) -> String {
    match anchor {
        Anchor::Given(name) => name.to_string(),
        Anchor::Fact(path) => path.to_string(),
    }
}

fn head(lines: &mut Lines, definition: &Definition) {
    lines.put("timeline", "name", &definition.name);
    lines.put("timeline", "entity", &definition.entity);
    lines.put("timeline", "anchor", anchor(&definition.anchor));
    lines.put_some("timeline", "zone.from", definition.zone.from.as_ref());
    lines.put("timeline", "zone", &definition.zone.otherwise);
    let again = match definition.again {
        Again::Ignore => None,
        Again::Restart => Some("restart"),
        Again::Error => Some("error"),
    };
    lines.put_some("timeline", "again", again);
    lines.put_late("timeline", &definition.late);
}

fn facts(lines: &mut Lines, definition: &Definition) {
    for (name, group) in &definition.facts {
        let table = format!("facts.{name}");
        match &group.source {
            None => {}
            Some(FactSource::Sql { source, sql }) => {
                lines.put(&table, "source", source);
                lines.put(&table, "sql", sql);
            }
            Some(FactSource::Http { target, path }) => {
                lines.put(&table, "http", target);
                lines.put(&table, "path", path);
            }
        }
        if group.source.is_some() {
            lines.put(&table, "timeout", exact(group.timeout));
        }
        for (field, kind) in &group.fields {
            lines.put(&table, format!("fields.{field}"), kind);
        }
    }
}

fn step(lines: &mut Lines, step: &Step, open: Option<&String>) {
    let table = format!("step.{}", step.name);
    match &step.trigger {
        Trigger::Anchor(own) => lines.put(&table, "anchor", own.as_ref().map(anchor).unwrap_or_default()),
        Trigger::After { step, outcome, clock } => {
            lines.put(&table, "after", format!("{step}:{outcome}"));
            if *clock == FollowClock::Due {
                lines.put(&table, "clock", "due");
            }
        }
    }
    if !step.due.is_zero() {
        lines.put(&table, "due", step.due);
    }
    lines.put_some(&table, "at", step.at.as_ref());
    lines.put_some(&table, "open", open);
    lines.put_some(&table, "before", step.before.as_ref());
    lines.put_some(&table, "spread", step.spread.map(exact));
    match &step.recurrence {
        None => {}
        Some(Recurrence::Repeat(repeat)) => lines.put(&table, "repeat", repeat),
        Some(Recurrence::Cron(cron)) => lines.put(&table, "cron", cron.pattern()),
        Some(Recurrence::Rule(rule)) => lines.put(&table, "rrule", rule.text()),
    }
    lines.put_some(&table, "when", step.when.as_ref());
    action(lines, &table, step);
    let mut says: Vec<&str> = step.says.iter().map(Name::as_str).collect();
    says.sort_unstable();
    if !says.is_empty() {
        lines.put(&table, "says", says.join(" "));
    }
    if step.retry != RETRY_DEFAULT {
        let retry = format!("{} {}..{}", step.retry.tries, exact(step.retry.wait_first), exact(step.retry.wait_max));
        lines.put(&table, "retry", retry);
    }
    if let Some(late) = &step.late {
        lines.put_late(&table, late);
    }
    if step.delivery == Guarantee::AtMostOnce {
        lines.put(&table, "delivery", "at_most_once");
    }
}

fn action(lines: &mut Lines, table: &str, step: &Step) {
    let table = &format!("{table}.do");
    match &step.action.to {
        Destination::Email { template, to, subject } => {
            lines.put(table, "email", template);
            lines.put(table, "to", to);
            lines.put_some(table, "subject", subject.as_ref());
        }
        Destination::Webhook { target, path } => {
            lines.put(table, "webhook", target);
            lines.put(table, "path", path);
        }
        Destination::Handler { name } => lines.put(table, "handler", name),
        Destination::Log { message } => lines.put(table, "log", message),
        Destination::Broker { broker, target, key } => {
            lines.put(table, broker.as_str(), target);
            lines.put(table, "key", key);
        }
    }
    for (key, value) in &step.action.data {
        lines.put(table, format!("data.{key}"), value);
    }
    lines.put(table, "timeout", exact(step.action.timeout));
}

fn events(lines: &mut Lines, definition: &Definition) {
    for (event, reaction) in &definition.on {
        let table = format!("on.\"{event}\"");
        lines.put(&table, "", "");
        match &reaction.cancel {
            None => {}
            Some(Selection::All) => lines.put(&table, "cancel", "*"),
            Some(Selection::Steps(steps)) => {
                let mut steps: Vec<&str> = steps.iter().map(Name::as_str).collect();
                steps.sort_unstable();
                steps.dedup();
                lines.put(&table, "cancel", steps.join(" "));
            }
        }
        lines.put_some(&table, "reason", reaction.reason.as_ref());
        lines.put_some(&table, "shift", reaction.shift.as_ref());
        if reaction.recompute {
            lines.put(&table, "recompute", true);
        }
        lines.put_some(&table, "erase", reaction.erase);
    }
}

fn change_and_audit(lines: &mut Lines, definition: &Definition) {
    let change = &definition.change;
    match change.new_step {
        NewStep::IfFuture => {}
        NewStep::RunLate => lines.put("change", "new_step", "run_late"),
        NewStep::Never => lines.put("change", "new_step", "never"),
    }
    if !change.moved_recompute {
        lines.put("change", "moved", "keep");
    }
    if !change.removed_cancel {
        lines.put("change", "removed", "keep");
    }
    for (old, new) in &change.renamed {
        lines.put("change", format!("renamed.{old}"), new);
    }
    if let Some(audit) = &definition.audit {
        lines.put("audit", "every", exact(audit.every));
        lines.put("audit", "source", &audit.source);
        lines.put("audit", "expect", &audit.expect);
        lines.put("audit", "missing", if audit.missing_enrol { "enrol" } else { "report" });
        lines.put("audit", "extra", if audit.extra_cancel { "cancel" } else { "report" });
    }
}
