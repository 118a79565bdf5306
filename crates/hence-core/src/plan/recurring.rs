//! Which occurrence of a recurring step is the current one: the one after the newest that ended, else the first.
//!
//! One occurrence exists at a time. The next is planned when it ends, so nothing has to make up for missed ones in bulk: after
//! downtime they come one by one, each judged by its `late` rule. Of those that lie before the enrolment only the newest is made up for.

use super::PlanInput;
use crate::calendar::Zone;
use crate::definition::Step;
use crate::due::Due;
use crate::reason::Reason;
use crate::recurrence::{Nominal, Occurrence, Recurrence, Start};

/// Where a recurrence is looked at.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) input: PlanInput<'a>,
    pub(super) step: &'a Step,
    pub(super) zone: &'a Zone,
    pub(super) prefix: &'a str,
}

/// The occurrence that should be waiting: its key, and its instant with the explanation so far. `begun` is where the recurrence starts.
pub(super) fn current(place: Place<'_>, recurrence: &Recurrence, begun: Due) -> Result<(String, Due), Box<Reason>> {
    let start = begun.start();
    let newest = place
        .input
        .ended
        .iter()
        .filter(|task| task.step == place.step.name && !task.is_withdrawn)
        .filter_map(|task| nominal_text(&task.occurrence, place.prefix))
        .max()
        .and_then(|text| text.parse::<Nominal>().ok());
    let next = match newest {
        None => first(place, recurrence, &start),
        Some(newest) => recurrence.next_after(&newest, &start, place.zone),
    };
    let Some(occurrence) = next else { return Err(Box::new(Reason::NoMore { rule: recurrence.describe() })) };
    let own = occurrence.key();
    let key = if place.prefix.is_empty() { own } else { format!("{}/{own}", place.prefix) };
    Ok((key, occurrence.into_due(begun, place.zone)))
}

/// Where a recurrence begins for this timeline: of the occurrences that lie before the enrolment only the newest is made up for.
fn first(place: Place<'_>, recurrence: &Recurrence, start: &Start) -> Option<Occurrence> {
    let enrolled_at = place.input.timeline.enrolled_at;
    let first = recurrence.first(start, place.zone)?;
    if first.at > enrolled_at {
        return Some(first);
    }
    Some(recurrence.newest_until(enrolled_at, start, place.zone).unwrap_or(first))
}

/// The nominal time within a key, if the key is of an occurrence of this prefix; what was run again carries a `#`, what was planned
/// again a `~`.
fn nominal_text<'k>(key: &'k str, prefix: &str) -> Option<&'k str> {
    let own = if prefix.is_empty() { key } else { key.strip_prefix(prefix)?.strip_prefix('/')? };
    Some(super::again::base_of(own))
}
