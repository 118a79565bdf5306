//! What refers to what: names of steps and outcomes that must exist, and steps that must not wait for each other.
//!
//! Works on drafts, so that a step with another mistake still counts as there. Leaves to others: what is legal but odd (`lint`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::document::{Reader, suggestion};
use super::format::{BUILT_IN_OUTCOMES, Draft, StepDraft};
use super::{Selection, Trigger, codes};
use crate::diagnostic::Diagnostic;
use crate::name::Name;

/// Checks everything that steps and events say of other steps.
pub(super) fn steps(reader: &mut Reader<'_>, draft: &Draft) {
    for step in &draft.steps {
        follows(reader, draft, step);
        comes_before(reader, draft, step);
    }
    let after = |step: &str| match &draft.find(step)?.trigger {
        Some(Trigger::After { step, .. }) => Some(step.as_str()),
        _ => None,
    };
    cycles(reader, draft, (&after, "after"), "steps follow each other, so none of them ever exists");
    let before = |step: &str| draft.find(step)?.before.as_ref().map(Name::as_str);
    cycles(reader, draft, (&before, "before"), "steps must all be before each other");
    for (event, reaction) in &draft.on {
        let Some(Selection::Steps(steps)) = &reaction.cancel else { continue };
        for (index, step) in steps.iter().enumerate() {
            let at = reader.place(&format!("on.{}.cancel[{index}]", quoted(event.as_str())));
            known_step(reader, draft, step.as_str(), &at);
        }
    }
}

/// The step of that name; reports it when there is none.
pub(super) fn known_step<'d>(reader: &mut Reader<'_>, draft: &'d Draft, name: &str, at: &Range<usize>) -> Option<&'d StepDraft> {
    let step = draft.find(name);
    if step.is_none() {
        let help = suggestion(name, draft.steps.iter().map(|step| step.name.as_str()), "steps");
        reader.error(codes::UNKNOWN_STEP, at, format!("there is no step `{}`", crate::calendar::shown(name)), help);
    }
    step
}

/// Reports a word that the step cannot end with.
pub(super) fn known_outcome(reader: &mut Reader<'_>, step: &StepDraft, outcome: &str, at: &Range<usize>) {
    let known: Vec<&str> = step.says.iter().map(Name::as_str).chain(BUILT_IN_OUTCOMES).collect();
    if known.contains(&outcome) || !step.says_is_sure {
        return;
    }
    let message = format!("`{}` never ends with `{}`", step.name, crate::calendar::shown(outcome));
    let help = match suggestion(outcome, known.into_iter(), "outcomes") {
        near if near.starts_with("did") => near,
        _ => format!("add it to `says` of `{}`, or follow one of its outcomes", step.name),
    };
    reader.error(codes::UNKNOWN_OUTCOME, at, message, help);
}

/// Checks one entry of `[change].renamed`.
pub(super) fn renamed(
    reader: &mut Reader<'_>,
    draft: &Draft,
    (old, new): (&Name, &Name),
    path: &str,
    so_far: &BTreeMap<Name, Name>,
) {
    let (key_at, value_at) = (reader.key_place(path), reader.place(path));
    if draft.find(old.as_str()).is_some() {
        let message = format!("`{old}` is still a step of this file");
        reader.error(codes::CONTRADICTION, &key_at, message, "write `old = \"new\"`, where only the new step is in the file");
    }
    known_step(reader, draft, new.as_str(), &value_at);
    if so_far.values().any(|other| other == new) {
        let message = format!("two steps are renamed to `{new}`");
        reader.error(codes::CONTRADICTION, &value_at, message, "keep the one whose waiting tasks should go on");
    }
}

/// The way from a name back to itself, when there is one: `a`, `b`, `a`.
pub(super) fn way_back<'n>(start: &'n str, next: impl Fn(&str) -> Vec<&'n str>) -> Option<Vec<&'n str>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut left = vec![start];
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    while let Some(at) = left.pop() {
        for found in next(at) {
            if found == start {
                let mut way = vec![start, at];
                while let Some(from) =
                    way.last().filter(|last| **last != start || way.len() == 1).and_then(|last| came_from.get(last))
                {
                    way.push(from);
                }
                if way.len() == 2 && at == start {
                    return Some(vec![start, start]);
                }
                way.reverse();
                return Some(way);
            }
            if seen.insert(found) {
                came_from.insert(found, at);
                left.push(found);
            }
        }
    }
    None
}

fn follows(reader: &mut Reader<'_>, draft: &Draft, step: &StepDraft) {
    let Some(Trigger::After { step: before, outcome, .. }) = &step.trigger else { return };
    let at = reader.place(&format!("{}.after", step.path));
    let Some(before) = known_step(reader, draft, before.as_str(), &at) else { return };
    known_outcome(reader, before, outcome.as_str(), &at);
}

fn comes_before(reader: &mut Reader<'_>, draft: &Draft, step: &StepDraft) {
    let Some(before) = &step.before else { return };
    let at = reader.place(&format!("{}.before", step.path));
    if known_step(reader, draft, before.as_str(), &at).is_none() || before == &step.name {
        return;
    }
    // A follow-up exists only once the steps it follows have ended.
    let mut follows = step;
    for _ in 0..draft.steps.len() {
        let Some(Trigger::After { step: earlier, .. }) = &follows.trigger else { return };
        if earlier == before {
            let message = format!("`{}` follows `{before}`, so it cannot be before it", step.name);
            reader.error(codes::CONTRADICTION, &at, message, "remove `before`, or name a later step");
            return;
        }
        let Some(earlier) = draft.find(earlier.as_str()) else { return };
        follows = earlier;
    }
}

/// The one step that a step points to.
type Next<'a, 'd> = &'a dyn Fn(&str) -> Option<&'d str>;

/// Reports each circle of a relation once, at its first step.
fn cycles<'d>(reader: &mut Reader<'_>, draft: &'d Draft, (next, key): (Next<'_, 'd>, &str), message: &str) {
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    for step in &draft.steps {
        if reported.contains(step.name.as_str()) {
            continue;
        }
        let Some(way) = way_back(step.name.as_str(), |at| next(at).into_iter().collect()) else { continue };
        reported.extend(way.iter().copied());
        let at = reader.place(&format!("{}.{key}", step.path));
        let message = format!("{message}: {}", way.join(" → "));
        let mut problem = Diagnostic::error(codes::CYCLE, at, message, "let one of them go without");
        for other in way.iter().skip(1).filter(|other| **other != step.name.as_str()) {
            problem = problem.with_span(reader.place(&format!("step.{other}.{key}")), "and here");
        }
        reader.problems.push(problem);
    }
}

fn quoted(event: &str) -> String {
    super::document::joined("", event)
}

impl Draft {
    /// The step of that name.
    pub(super) fn find(&self, name: &str) -> Option<&StepDraft> {
        self.steps.iter().find(|step| step.name.as_str() == name)
    }
}
