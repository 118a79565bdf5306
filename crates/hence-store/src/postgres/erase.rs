//! Erasing an entity, and forgetting those that nothing is ahead for.

use hence_core::name::EntityKey;
use hence_core::task::Task;
use hence_core::timeline::{ChangeSet, TaskWrite};
use jiff::Timestamp;

use super::connection::Connected;
use super::counter;
use super::failure::Stop;
use super::inbox;
use super::row::{self, column, entity_of};
use super::statement::{
    ENTITY_FIND, ERASE_BODY_REASONS, ERASE_DROP_HISTORY, ERASE_DUE, ERASE_FORGET_DATE, ERASE_IDLE, ERASE_PRUNE_BODIES,
    ERASE_PRUNE_ENTITY, ERASE_PRUNE_RECORDS, ERASE_PRUNE_TIMELINES, ERASE_RECORD_REASONS, ERASE_SCRUB_BODY, ERASE_SCRUB_RECORD,
    ERASE_TIMELINES, INBOX_CARRIED_OUT, INBOX_DELETE_KEYS, INBOX_DELETE_OF_ENTITY, SNAPSHOT_LIVE, WRITE_NEWEST_RECORD,
};
use super::write::{self, Call, Done};
use crate::erasure::{ending, last_erased, proof, scrub};
use crate::error::Error;
use crate::format::{corrupt, cut, instant, micros, read_reason, write_reason};
use crate::port::Written;
use crate::tallies::Tallies;

/// Erases the entity; `None` when nothing is known of it.
pub(super) async fn erase(connected: &Connected, call: &Call<'_>, entity: &EntityKey) -> Result<Option<Done>, Stop> {
    let key = entity.to_string();
    let Some(found) = connected.first(&ENTITY_FIND, &[&[key.as_str()].as_slice()]).await? else { return Ok(None) };
    let (id, version): (i64, i64) = (column(&found, 1)?, column(&found, 2)?);
    let newest = connected.first(&WRITE_NEWEST_RECORD, &[]).await?.map(|row| column(&row, 0)).transpose()?;
    let newest = newest.map(instant).transpose()?;
    let now = newest.map_or(cut(call.now), |newest| newest.max(cut(call.now)));
    scrub_records(connected, id).await?;
    scrub_bodies(connected, id).await?;
    connected.run(&ERASE_TIMELINES, &[&id]).await?;
    let until = last_erased(&inbox::of_entity(connected, entity).await?);
    connected.run(&INBOX_DELETE_OF_ENTITY, &[&[id].as_slice(), &until]).await?;
    connected.run(&INBOX_CARRIED_OUT, &[&[id].as_slice()]).await?;
    connected.run(&INBOX_DELETE_KEYS, &[&[id].as_slice()]).await?;
    connected.run(&ERASE_FORGET_DATE, &[&id]).await?;
    let rows = connected.rows(&SNAPSHOT_LIVE, &[&[key.as_str()].as_slice()]).await?;
    let mut ahead: Vec<Task> = rows.iter().map(row::task).collect::<Result<_, Error>>()?;
    ahead.sort_by_key(|task| task.id);
    let changes = ends(entity, version, &ahead, now);
    let done = write::write(connected, call, None, &[changes]).await?;
    match done.answers.as_slice() {
        [Written::Applied] => Ok(Some(done)),
        // A task that was read here has just started: run again.
        _ => Err(Stop::Again(corrupt("what is stored of the entity changes while it is erased"))),
    }
}

/// Everything that is ahead ends, and a proof is kept.
fn ends(entity: &EntityKey, version: i64, ahead: &[Task], now: Timestamp) -> ChangeSet {
    let mut changes = ChangeSet::new(entity.clone());
    changes.planned_from = Some(version);
    for task in ahead {
        let (state, record) = ending(task, now);
        changes.transitions.push(TaskWrite {
            id: task.id,
            state_before: task.state,
            fence_before: task.fence,
            cancel_asked_before: task.cancel_asked,
            task: Task { state, ..task.clone() },
            record: Some(record),
        });
    }
    changes.closing.push(proof(entity, now));
    changes
}

async fn scrub_records(connected: &Connected, entity: i64) -> Result<(), Stop> {
    let (mut seqs, mut written, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for row in connected.rows(&ERASE_RECORD_REASONS, &[&entity]).await? {
        seqs.push(column::<i64>(&row, 0)?);
        written.push(column::<i64>(&row, 1)?);
        reasons.push(write_reason(&scrub(read_reason(column(&row, 2)?)?)));
    }
    connected.run(&ERASE_SCRUB_RECORD, &[&seqs, &written, &reasons]).await.map(|_| ())
}

async fn scrub_bodies(connected: &Connected, entity: i64) -> Result<(), Stop> {
    let (mut ids, mut reasons) = (Vec::new(), Vec::new());
    for row in connected.rows(&ERASE_BODY_REASONS, &[&entity]).await? {
        ids.push(column::<i64>(&row, 0)?);
        reasons.push(write_reason(&scrub(read_reason(column(&row, 1)?)?)));
    }
    connected.run(&ERASE_SCRUB_BODY, &[&ids, &reasons]).await.map(|_| ())
}

pub(super) async fn due(
    connected: &Connected,
    shards: Option<Vec<i16>>,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<EntityKey>, Stop> {
    let rows = connected.rows(&ERASE_DUE, &[&micros(now), &(limit as i64), &shards]).await?;
    Ok(rows.iter().map(|row| entity_of(column(row, 0)?)).collect::<Result<_, Error>>()?)
}

pub(super) async fn prune(connected: &Connected, before: Timestamp, limit: usize) -> Result<usize, Stop> {
    let rows = connected.rows(&ERASE_IDLE, &[&micros(before), &(limit as i64)]).await?;
    let idle: Vec<i64> = rows.iter().map(|row| column(row, 0)).collect::<Result<_, Error>>()?;
    if idle.is_empty() {
        return Ok(0);
    }
    // The rows first: of those that somebody told of in this moment everything stays.
    let rows = connected.rows(&ERASE_PRUNE_ENTITY, &[&idle]).await?;
    let gone: Vec<i64> = rows.iter().map(|row| column(row, 0)).collect::<Result<_, Error>>()?;
    // The bodies before the records: they are found by them.
    connected.run(&ERASE_PRUNE_BODIES, &[&gone]).await?;
    connected.run(&ERASE_PRUNE_RECORDS, &[&gone]).await?;
    let timelines = connected.run(&ERASE_PRUNE_TIMELINES, &[&gone]).await?;
    connected.run(&INBOX_DELETE_KEYS, &[&gone]).await?;
    let mut tallies = Tallies::default();
    tallies.add("timelines", -i64::try_from(timelines).unwrap_or_default());
    counter::add(connected, tallies).await?;
    Ok(gone.len())
}

/// Drops the parts of history that end before an instant and hold nothing any more.
pub(super) async fn drop_history(connected: &Connected, before: Timestamp) -> Result<(), Stop> {
    connected.rows(&ERASE_DROP_HISTORY, &[&micros(before)]).await.map(|_| ())
}
