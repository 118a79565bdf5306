//! Which occurrence of a recurring step is the current one: the waiting one, else the one after the newest that ended.
//!
//! One occurrence exists at a time. The next is planned when it ends, so nothing has to make up for missed ones in bulk: after
//! downtime they come one by one, each judged by its `late` rule.

use jiff::Timestamp;

use super::PlanInput;
use crate::calendar::Zone;
use crate::definition::Step;
use crate::reason::Reason;
use crate::recurrence::{Occurrence, Recurrence};

/// Where a recurrence is looked at.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) input: PlanInput<'a>,
    pub(super) step: &'a Step,
    pub(super) anchor_at: Timestamp,
    pub(super) zone: &'a Zone,
    pub(super) prefix: &'a str,
}

/// The occurrence that should be waiting.
pub(super) struct Current {
    pub(super) key: String,
    pub(super) at: Timestamp,
}

/// The occurrence after the newest that ended; the first when none has.
pub(super) fn current(place: Place<'_>, recurrence: &Recurrence) -> Result<Current, Reason> {
    let problem = |problem: String| Reason::NoInstant { problem };
    let start = crate::due::compute(&super::once_rule_without_hours(place.step), place.anchor_at, place.zone, 0)
        .map_err(|error| problem(error.to_string()))?
        .at;
    let newest = place
        .input
        .ended
        .iter()
        .filter(|task| task.step == place.step.name)
        .filter_map(|task| nominal(&task.occurrence, place.prefix))
        .max();
    let mut next = recurrence.first(start, place.zone).map_err(|error| problem(error.to_string()))?;
    while let (Some(occurrence), Some(newest)) = (&next, newest) {
        if occurrence.key().as_str() > newest {
            break;
        }
        next = recurrence.next_after(occurrence, start, place.zone).map_err(|error| problem(error.to_string()))?;
    }
    match next {
        Some(occurrence) => Ok(Current { key: key(&occurrence, place.prefix), at: occurrence.at }),
        None => Err(Reason::NoMore { rule: recurrence.describe() }),
    }
}

fn key(occurrence: &Occurrence, prefix: &str) -> String {
    if prefix.is_empty() { occurrence.key() } else { format!("{prefix}/{}", occurrence.key()) }
}

/// The nominal time within a key, if the key is of an occurrence of this prefix.
fn nominal<'k>(key: &'k str, prefix: &str) -> Option<&'k str> {
    if prefix.is_empty() { Some(key) } else { key.strip_prefix(prefix)?.strip_prefix('/') }
}
