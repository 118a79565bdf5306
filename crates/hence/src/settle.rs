//! Carrying wishes out: from the inbox through the planner into the store, entity by entity, many in one write.
//!
//! Whoever has wishes may do this, the engine and every client: of two who take the same wish only one writes, because the write asks
//! for the wish to be there and for the entity to be as it was planned from. A loser plans again from what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use hence_core::answer::Problem;
use hence_core::carry_out::{self, CarriedOut, WishResult};
use hence_core::definition::{Anchor, Definition, Trigger};
use hence_core::history::{Record, RecordKind};
use hence_core::library::Library;
use hence_core::name::{EntityKey, WishId};
use hence_core::reason::Reason;
use hence_core::timeline::{ChangeSet, EntitySnapshot, Postponement};
use hence_core::wish::{StoredWish, Wish};
use hence_store::port::{EntityFilter, InboxEntry, PageRequest, Written};
use jiff::{SignedDuration, Timestamp};

use crate::client::Client;
use crate::error::Error;

/// How often one entity is planned anew because others were first.
const TRIES_MAX: usize = 16;
/// How many entities' facts are read at once.
const READS_AT_ONCE: usize = 16;
/// The engine begins no further reading after this long; what is left comes in its next go.
pub(crate) const READING_MAX: Duration = Duration::from_secs(1);
/// The longest wait until wishes whose facts cannot be read are tried again.
const POSTPONED_MAX: SignedDuration = SignedDuration::from_secs(300);

/// What became of wishes.
pub(crate) type Results = BTreeMap<WishId, WishResult>;

/// Why the wishes of an entity were not carried out now.
enum Waits {
    /// Facts cannot be read.
    Unread(Problem),
    /// Reading others' facts took long already.
    NoTime,
}

/// What every plan of one go needs.
struct Going<'a> {
    client: &'a Client,
    library: Arc<Library>,
    now: Timestamp,
    began: Duration,
    reading_max: Option<Duration>,
}

/// Carries out these entries of the inbox at `now`. What cannot be carried out because facts cannot be read stays there, postponed; what
/// would begin to read facts after `reading_max` stays there as it is.
pub(crate) async fn settle(
    client: &Client,
    entries: Vec<InboxEntry>,
    (now, reading_max): (Timestamp, Option<Duration>),
) -> Result<Results, Error> {
    let mut results = Results::new();
    let mut waiting: BTreeMap<EntityKey, Vec<InboxEntry>> = BTreeMap::new();
    for entry in entries {
        waiting.entry(entry.entity().clone()).or_default().push(entry);
    }
    let began = client.host().elapsed();
    let mut unread: Vec<(EntityKey, WishId, Problem)> = Vec::new();
    for _ in 0..TRIES_MAX {
        erase(client, now, &mut waiting, &mut results).await?;
        if waiting.is_empty() {
            break;
        }
        let library = client.library_for(waiting.values().flatten()).await?;
        let going = Going { client, library, now, began, reading_max };
        let keys: Vec<EntityKey> = waiting.keys().cloned().collect();
        let snapshots = client.store().snapshots(&keys).await?;
        let mut plans = Vec::with_capacity(snapshots.len());
        for snapshot in &snapshots {
            plans.push(plan(&going, snapshot, first_go(waiting.get(&snapshot.entity).map_or(&[], Vec::as_slice))));
        }
        let plans: Vec<_> = futures::stream::iter(plans).buffered(READS_AT_ONCE).collect().await;
        let mut planned: Vec<(EntityKey, CarriedOut)> = Vec::new();
        for (snapshot, plan) in snapshots.iter().zip(plans) {
            let entity = snapshot.entity.clone();
            match plan {
                Ok(carried) => planned.push((entity, carried)),
                Err(waits) => {
                    let first = waiting.remove(&entity).and_then(|entries| Some(entries.first()?.id()));
                    if let (Waits::Unread(problem), Some(first)) = (waits, first) {
                        unread.push((entity, first, problem));
                    }
                }
            }
        }
        write(client, planned, now, &mut waiting, &mut results).await?;
    }
    postpone(client, unread, now).await?;
    Ok(results)
}

/// Erases the entities of which that is wished. What was told before it goes with it; what was told afterwards is carried out.
async fn erase(
    client: &Client,
    now: Timestamp,
    waiting: &mut BTreeMap<EntityKey, Vec<InboxEntry>>,
    results: &mut Results,
) -> Result<(), Error> {
    let is_erasure = |entry: &InboxEntry| matches!(entry, InboxEntry::Wish(StoredWish { wish: Wish::Erase { .. }, .. }));
    for (entity, entries) in waiting.iter_mut() {
        if let Some(last) = entries.iter().rposition(is_erasure) {
            client.store().erase(entity, now).await?;
            results.extend(entries.drain(..=last).map(|entry| (entry.id(), WishResult::Told)));
        }
    }
    waiting.retain(|_, entries| !entries.is_empty());
    Ok(())
}

/// The entries that one plan carries out: up to the first that is about stored tasks and follows something that makes tasks.
fn first_go(entries: &[InboxEntry]) -> &[InboxEntry] {
    let is_about_tasks = |entry: &InboxEntry| matches!(entry, InboxEntry::Wish(stored) if stored.wish.is_about_tasks());
    let told = entries.iter().position(|entry| !is_about_tasks(entry)).unwrap_or(entries.len());
    let next = entries[told..].iter().position(is_about_tasks);
    next.map_or(entries, |next| &entries[..told + next])
}

/// Parts the entries of entities whose wishes cannot ask for facts to be read from those of entities whose wishes may.
pub(crate) fn split(library: &Library, entries: Vec<InboxEntry>) -> (Vec<InboxEntry>, Vec<InboxEntry>) {
    let reads = |entry: &InboxEntry| match entry {
        InboxEntry::Wish(StoredWish { wish: Wish::Enrol { timeline, facts, .. }, .. }) => {
            library.current(timeline).is_some_and(|definition| !groups_of_plan(definition, facts).is_empty())
        }
        InboxEntry::Wish(StoredWish { wish: Wish::Event { name, .. }, .. }) => {
            library.all_current().any(|definition| definition.on.get(name).is_some_and(|reaction| reaction.recompute))
        }
        _ => false,
    };
    let reading: BTreeSet<EntityKey> = entries.iter().filter(|entry| reads(entry)).map(|entry| entry.entity().clone()).collect();
    entries.into_iter().partition(|entry| !reading.contains(entry.entity()))
}

/// Notes in the store why these wishes wait and until when, so that they can be seen and do not wear their source out.
async fn postpone(client: &Client, unread: Vec<(EntityKey, WishId, Problem)>, now: Timestamp) -> Result<(), Error> {
    let mut sets = Vec::with_capacity(unread.len());
    for (entity, wish, problem) in unread {
        // The entity itself comes first among those whose written form begins like its own.
        let filter = EntityFilter { prefix: Some(entity.to_string()), is_postponed: true, ..EntityFilter::default() };
        let known = client.store().entities(&filter, PageRequest::first(1)).await?.items;
        let known = known.into_iter().find(|row| row.entity == entity).and_then(|row| row.postponed);
        let wait = wait_of(known.map_or(0, |postponed| postponed.tries), client.host().dice());
        tracing::warn!(%entity, problem = problem.message, wait = %wait, "wishes wait because facts cannot be read");
        let mut changes = ChangeSet::new(entity);
        let try_at = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        changes.postponed = Some(Postponement { wish, try_at, problem });
        sets.push(changes);
    }
    if !sets.is_empty() {
        // One that is not written was carried out by another meanwhile.
        client.store().write(None, sets, now).await?;
    }
    Ok(())
}

/// How long wishes wait that were tried that often before: doubling from a second, the half of it by chance.
fn wait_of(tries: u32, dice: u64) -> SignedDuration {
    let longest = SignedDuration::from_secs(1 << tries.min(16)).min(POSTPONED_MAX).as_millis() as u64;
    SignedDuration::from_millis((longest / 2 + dice % (longest / 2 + 1)) as i64)
}

async fn plan(going: &Going<'_>, snapshot: &EntitySnapshot, entries: &[InboxEntry]) -> Result<CarriedOut, Waits> {
    let wishes: Vec<StoredWish> = entries
        .iter()
        .filter_map(|entry| match entry {
            InboxEntry::Wish(wish) => Some(wish.clone()),
            InboxEntry::Unreadable { .. } => None,
        })
        .collect();
    let fresh = fresh_facts(going, snapshot, &wishes).await?;
    let mut carried = carry_out::carry_out(snapshot, &wishes, &fresh, &going.library, going.now);
    for entry in entries {
        if let InboxEntry::Unreadable { id, problem, .. } = entry {
            carried.changes.carried_out.push(*id);
            carried.changes.records.push(refusal(&snapshot.entity, problem, going.now));
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
    let sets: Vec<ChangeSet> = planned.iter().map(|(_, carried)| carried.changes.clone()).collect();
    let written = client.store().write(None, sets, now).await?;
    for ((entity, carried), written) in planned.into_iter().zip(written) {
        match written {
            Written::Applied => {
                client.under_way().written(&carried.changes);
                results.extend(carried.results);
                if let Some(entries) = waiting.get_mut(&entity) {
                    entries.retain(|entry| !results.contains_key(&entry.id()));
                    if entries.is_empty() {
                        waiting.remove(&entity);
                    }
                }
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
async fn fresh_facts(going: &Going<'_>, snapshot: &EntitySnapshot, wishes: &[StoredWish]) -> Result<serde_json::Value, Waits> {
    let library = &going.library;
    let mut fresh = serde_json::Map::new();
    for stored in wishes {
        match &stored.wish {
            Wish::Event { name, .. } => {
                for timeline in &snapshot.timelines {
                    let Some(definition) = library.version(&timeline.definition) else { continue };
                    if definition.on.get(name).is_some_and(|reaction| reaction.recompute) {
                        let groups = definition.facts.keys().map(ToString::to_string).collect();
                        read_into(going, &mut fresh, (definition, &groups), &snapshot.entity).await?;
                    }
                }
            }
            Wish::Enrol { timeline, facts, .. } => {
                let Some(definition) = library.current(timeline) else { continue };
                let groups = groups_of_plan(definition, facts);
                read_into(going, &mut fresh, (definition, &groups), &snapshot.entity).await?;
            }
            _ => {}
        }
    }
    Ok(if fresh.is_empty() { serde_json::Value::Null } else { serde_json::Value::Object(fresh) })
}

async fn read_into(
    going: &Going<'_>,
    fresh: &mut serde_json::Map<String, serde_json::Value>,
    (definition, groups): (&Arc<Definition>, &BTreeSet<String>),
    entity: &EntityKey,
) -> Result<(), Waits> {
    if !definition.facts.iter().any(|(name, group)| group.source.is_some() && groups.contains(name.as_str())) {
        return Ok(());
    }
    if going.reading_max.is_some_and(|longest| going.client.host().elapsed().saturating_sub(going.began) > longest) {
        return Err(Waits::NoTime);
    }
    let nothing = hence_core::value::Facts::default();
    let facts = going.client.readers().read(definition, groups, entity, &nothing).await.map_err(Waits::Unread)?;
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
        .filter(|path| definition.facts.get(&path.group).is_some_and(|group| group.source.is_some()))
        .map(|path| path.group.to_string())
        .filter(|group| given.get(group).is_none())
        .collect()
}

fn refusal(entity: &EntityKey, problem: &str, now: Timestamp) -> Record {
    let reason = Reason::Refused { code: "HNC-0306".to_owned(), problem: problem.to_owned() };
    Record::about(entity.clone(), (RecordKind::Refused, now), reason)
}

#[cfg(test)]
mod tests {
    //! Goal: what cannot be read is tried again soon at first, then seldom. Method: waits by tries and dice.
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_are_scattered() {
        let wait = |tries, dice| wait_of(tries, dice).as_millis();
        assert_eq!((wait(0, 0), wait(0, 500), wait(0, 501)), (500, 1000, 500));
        assert_eq!((wait(1, 0), wait(1, 1000)), (1000, 2000));
        assert_eq!((wait(8, 0), wait(9, 0), wait(u32::MAX, 150_000)), (128_000, 150_000, 300_000));
    }
}
