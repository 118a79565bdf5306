//! Carrying wishes out: from the inbox through the planner into the store, entity by entity, many in one write.
//!
//! Whoever has wishes may do this, the engine and every client: of two who take the same wish only one writes, because the write asks
//! for the wish to be there and for the entity to be as it was planned from. A loser plans again from what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hence_core::answer::Problem;
use hence_core::carry_out::{self, CarriedOut, WishResult};
use hence_core::definition::{Anchor, Definition, Trigger};
use hence_core::history::{Record, RecordKind};
use hence_core::library::Library;
use hence_core::name::{EntityKey, WishId};
use hence_core::reason::Reason;
use hence_core::timeline::{ChangeSet, EntitySnapshot};
use hence_core::wish::{StoredWish, Wish};
use hence_store::port::{InboxEntry, Written};
use jiff::Timestamp;

use crate::client::Client;
use crate::error::Error;

/// How often one entity is planned anew because others were first.
const TRIES_MAX: usize = 16;

/// What became of wishes.
pub(crate) type Results = BTreeMap<WishId, WishResult>;

/// Carries out these entries of the inbox; what cannot be carried out now, because facts could not be read, stays there.
pub(crate) async fn settle(client: &Client, entries: Vec<InboxEntry>, now: Timestamp) -> Result<Results, Error> {
    let mut results = Results::new();
    let mut waiting: BTreeMap<EntityKey, Vec<InboxEntry>> = BTreeMap::new();
    for entry in entries {
        waiting.entry(entry.entity().clone()).or_default().push(entry);
    }
    for _ in 0..TRIES_MAX {
        if waiting.is_empty() {
            break;
        }
        let library = client.library_for(waiting.values().flatten()).await?;
        let keys: Vec<EntityKey> = waiting.keys().cloned().collect();
        let snapshots = client.store().snapshots(&keys).await?;
        let mut planned: Vec<(EntityKey, CarriedOut)> = Vec::new();
        for snapshot in &snapshots {
            let Some(entries) = waiting.get(&snapshot.entity) else { continue };
            match plan(client, snapshot, entries, &library, now).await {
                Ok(carried) => planned.push((snapshot.entity.clone(), carried)),
                Err(problem) => {
                    tracing::warn!(entity = %snapshot.entity, problem = problem.message, "wishes wait because facts cannot be read");
                    waiting.remove(&snapshot.entity);
                }
            }
        }
        write(client, planned, now, &mut waiting, &mut results).await?;
    }
    Ok(results)
}

async fn plan(
    client: &Client,
    snapshot: &EntitySnapshot,
    entries: &[InboxEntry],
    library: &Library,
    now: Timestamp,
) -> Result<CarriedOut, Problem> {
    let wishes: Vec<StoredWish> = entries
        .iter()
        .filter_map(|entry| match entry {
            InboxEntry::Wish(wish) => Some(wish.clone()),
            InboxEntry::Unreadable { .. } => None,
        })
        .collect();
    let fresh = fresh_facts(client, snapshot, &wishes, library).await?;
    let mut carried = carry_out::carry_out(snapshot, &wishes, &fresh, library, now);
    for entry in entries {
        if let InboxEntry::Unreadable { id, problem, .. } = entry {
            carried.changes.carried_out.push(*id);
            carried.changes.records.push(refusal(&snapshot.entity, problem, now));
            carried.results.push((*id, WishResult::Refused { code: "HNC-0306", problem: problem.clone() }));
        }
    }
    Ok(carried)
}

async fn write(
    client: &Client,
    mut planned: Vec<(EntityKey, CarriedOut)>,
    now: Timestamp,
    waiting: &mut BTreeMap<EntityKey, Vec<InboxEntry>>,
    results: &mut Results,
) -> Result<(), Error> {
    if planned.is_empty() {
        return Ok(());
    }
    let changes = planned.iter_mut().map(|(_, carried)| &mut carried.changes);
    number(client, changes).await?;
    let sets = planned.iter().map(|(_, carried)| carried.changes.clone()).collect();
    let written = client.store().write(None, sets, now).await?;
    for ((entity, carried), written) in planned.into_iter().zip(written) {
        match written {
            Written::Applied => {
                results.extend(carried.results);
                waiting.remove(&entity);
            }
            Written::Conflict(_) => {
                let left: BTreeSet<WishId> = client.store().wishes_of(&entity).await?.iter().map(InboxEntry::id).collect();
                let entries = waiting.entry(entity.clone()).or_default();
                entries.retain(|entry| left.contains(&entry.id()));
                if entries.is_empty() {
                    waiting.remove(&entity);
                }
            }
        }
    }
    Ok(())
}

/// Gives every new task and timeline of the change sets a number of the store.
pub(crate) async fn number<'a>(client: &Client, sets: impl Iterator<Item = &'a mut ChangeSet>) -> Result<(), Error> {
    let sets: Vec<&mut ChangeSet> = sets.collect();
    let wanted: usize = sets.iter().map(|set| set.numbers_wanted()).sum();
    if wanted == 0 {
        return Ok(());
    }
    let mut next = client.store().reserve_ids(wanted).await?.start;
    for set in sets {
        let count = i64::try_from(set.numbers_wanted()).expect("a change set has far fewer tasks than an i64 can count");
        set.number(next);
        next += count;
    }
    Ok(())
}

/// Facts that must be read before planning: those that an event says to read anew, and those that an enrolment's plan needs.
async fn fresh_facts(
    client: &Client,
    snapshot: &EntitySnapshot,
    wishes: &[StoredWish],
    library: &Library,
) -> Result<serde_json::Value, Problem> {
    let mut fresh = serde_json::Map::new();
    for stored in wishes {
        match &stored.wish {
            Wish::Event { name, .. } => {
                for timeline in &snapshot.timelines {
                    let Some(definition) = library.version(&timeline.definition) else { continue };
                    if definition.on.get(name).is_some_and(|reaction| reaction.recompute) {
                        let groups = definition.facts.keys().map(ToString::to_string).collect();
                        read_into(client, &mut fresh, (definition, &groups), &snapshot.entity).await?;
                    }
                }
            }
            Wish::Enrol { timeline, facts, .. } => {
                let Some(definition) = library.current(timeline) else { continue };
                let groups = groups_of_plan(definition, facts);
                read_into(client, &mut fresh, (definition, &groups), &snapshot.entity).await?;
            }
            Wish::PutFacts { .. } | Wish::Schedule { .. } => {}
        }
    }
    Ok(if fresh.is_empty() { serde_json::Value::Null } else { serde_json::Value::Object(fresh) })
}

async fn read_into(
    client: &Client,
    fresh: &mut serde_json::Map<String, serde_json::Value>,
    (definition, groups): (&Arc<Definition>, &BTreeSet<String>),
    entity: &EntityKey,
) -> Result<(), Problem> {
    if groups.is_empty() {
        return Ok(());
    }
    let facts = client.readers().read(definition, groups, entity, &hence_core::value::Facts::default()).await?;
    if let serde_json::Value::Object(groups) = facts.to_json() {
        fresh.extend(groups);
    }
    Ok(())
}

/// The groups that zone and anchors need, have a source, and were not given by the caller.
fn groups_of_plan(definition: &Definition, given: &serde_json::Value) -> BTreeSet<String> {
    let anchors = definition.steps.iter().filter_map(|step| match &step.trigger {
        Trigger::Anchor(anchor) => anchor.as_ref(),
        Trigger::After { .. } => None,
    });
    let paths = std::iter::once(&definition.anchor).chain(anchors).filter_map(|anchor| match anchor {
        Anchor::Fact(path) => Some(path),
        Anchor::Given(_) => None,
    });
    paths
        .chain(definition.zone.from.as_ref())
        .map(|path| path.group.to_string())
        .filter(|group| given.get(group).is_none())
        .collect()
}

fn refusal(entity: &EntityKey, problem: &str, now: Timestamp) -> Record {
    let reason = Reason::Refused { code: "HNC-0306".to_owned(), problem: problem.to_owned() };
    Record::about(entity.clone(), (RecordKind::Refused, now), reason)
}
