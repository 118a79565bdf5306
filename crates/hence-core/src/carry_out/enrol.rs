//! Enrolling: checking what the caller gave against the definition, and beginning a timeline.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{WishResult, Work};
use crate::definition::{Again, Definition};
use crate::history::RecordKind;
use crate::name::{Name, TimelineId};
use crate::reason::Reason;
use crate::timeline::{Timeline, TimelineStatus};
use crate::value::Facts;
use crate::wish::StoredWish;

/// Whether an enrolment fits the definition, before anything is accepted.
/// # Errors
/// The code and the problem: another type of entity, a missing instant, a fact of the wrong type.
pub(super) fn check(
    definition: &Definition,
    kind: &Name,
    given: &BTreeMap<Name, Timestamp>,
    facts: &serde_json::Value,
) -> Result<(), (&'static str, String)> {
    if &definition.entity != kind {
        let problem = format!("timeline `{}` is for entities of type `{}`, not `{kind}`", definition.name, definition.entity);
        return Err(("HNC-0302", problem));
    }
    let wanted = definition.given_instants();
    if let Some(unknown) = given.keys().find(|name| !wanted.contains(name)) {
        let problem = format!("timeline `{}` knows no instant `{unknown}`", definition.name);
        return Err(("HNC-0302", problem));
    }
    if !facts.is_null() {
        Facts::from_json(facts, &definition.fact_types())
            .map_err(|errors| ("HNC-0303", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    }
    Ok(())
}

pub(super) fn enrol(
    work: &mut Work<'_>,
    stored: &StoredWish,
    (name, given, facts): (&Name, &BTreeMap<Name, Timestamp>, &serde_json::Value),
) -> Result<WishResult, (&'static str, String)> {
    let Some(definition) = work.library.current(name).cloned() else {
        return Err(("HNC-0301", format!("timeline `{name}` is not defined")));
    };
    check(&definition, work.snapshot.entity.kind(), given, facts)?;
    let newest = work.snapshot.timelines.iter().filter(|timeline| &timeline.name == name).map(|timeline| timeline.run).max();
    if let Some(run) = newest {
        match definition.again {
            Again::Ignore => return Ok(WishResult::AlreadyEnrolled),
            Again::Restart => {}
            Again::Error => {
                let problem = format!("{} is already enrolled in `{name}` (run {run})", work.snapshot.entity);
                return Err(("HNC-0305", problem));
            }
        }
    }
    begin(work, stored, &definition, (newest.unwrap_or(0) + 1, given, facts));
    Ok(WishResult::Enrolled)
}

fn begin(
    work: &mut Work<'_>,
    stored: &StoredWish,
    definition: &Definition,
    (run, given, facts): (u32, &BTreeMap<Name, Timestamp>, &serde_json::Value),
) {
    let mut given = given.clone();
    for name in definition.given_instants() {
        given.entry(name.clone()).or_insert(stored.at);
    }
    let id = TimelineId(work.new_number());
    let timeline = Timeline {
        id,
        name: definition.name.clone(),
        definition: definition.hash.clone(),
        entity: work.snapshot.entity.clone(),
        run,
        status: TimelineStatus::Active,
        enrolled_at: stored.at,
        given,
        facts: if facts.is_null() { serde_json::json!({}) } else { facts.clone() },
    };
    work.snapshot.timelines.push(timeline.clone());
    work.changes.timelines.push(timeline);
    let reason = Reason::Enrolled {
        definition: definition.name.to_string(),
        version: definition.hash.short().to_owned(),
        run,
        actor: stored.actor.clone(),
    };
    work.record(RecordKind::Enrolled, stored.at, Some(id), reason);
}
