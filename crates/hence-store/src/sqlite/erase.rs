//! Erasing an entity, and forgetting those that nothing is ahead for.

use hence_core::name::EntityKey;
use hence_core::task::Task;
use jiff::Timestamp;

use super::connection::Connected;
use super::counter;
use super::inbox;
use super::row::{self, column, entity_of};
use super::statement::{
    ERASE_BODY_REASONS, ERASE_DUE, ERASE_FORGET_DATE, ERASE_IDLE, ERASE_PRUNE_BODIES, ERASE_PRUNE_ENTITY, ERASE_PRUNE_RECORDS,
    ERASE_PRUNE_TIMELINES, ERASE_RECORD_REASONS, ERASE_SCRUB_BODY, ERASE_SCRUB_RECORD, ERASE_TIMELINES, INBOX_CARRIED_OUT,
    INBOX_DELETE_KEYS, INBOX_DELETE_OF_ENTITY, SNAPSHOT_LIVE,
};
use super::write::{Stop, Writing, written_at};
use crate::erasure::{ending, last_erased, proof, scrub};
use crate::error::Error;
use crate::format::{corrupt, micros, read_reason, write_reason};
use crate::tallies::Tallies;

pub(super) fn erase(connected: &mut Connected, entity: &EntityKey, now: Timestamp) -> Result<bool, Error> {
    let Some((id, _)) = connected.entity(entity)? else { return Ok(false) };
    let now = written_at(connected, now)?;
    scrub_all(connected, id, (ERASE_RECORD_REASONS, ERASE_SCRUB_RECORD))?;
    scrub_all(connected, id, (ERASE_BODY_REASONS, ERASE_SCRUB_BODY))?;
    connected.run(ERASE_TIMELINES, [id])?;
    let until = last_erased(&inbox::of_entity(connected, entity)?);
    let wishes = connected.run(INBOX_DELETE_OF_ENTITY, [id, until])?;
    connected.run(INBOX_CARRIED_OUT, [id])?;
    connected.run(INBOX_DELETE_KEYS, [id])?;
    connected.run(ERASE_FORGET_DATE, [id])?;
    let mut ahead: Vec<Task> = connected.all(SNAPSHOT_LIVE, [id], row::task)?;
    ahead.sort_by_key(|task| task.id);
    let mut tallies = end_all(connected, (entity, id), &ahead, now).map_err(|stop| match stop {
        Stop::Failed(error) => error,
        Stop::Conflict(conflict) => corrupt("what is stored of the entity contradicts itself").caused_by(conflict),
    })?;
    tallies.add("wishes", -(wishes as i64));
    counter::add(connected, tallies)?;
    Ok(true)
}

fn end_all(connected: &mut Connected, (entity, id): (&EntityKey, i64), ahead: &[Task], now: Timestamp) -> Result<Tallies, Stop> {
    let mut writing = Writing::of(connected, entity, id, now);
    for task in ahead {
        let (state, record) = ending(task, now);
        writing.end(task, state, &record)?;
    }
    writing.add_record(&proof(entity, now))?;
    writing.finish(1, None)
}

/// Scrubs every reason that the first statement gives, by the second.
fn scrub_all(connected: &Connected, entity: i64, (list, put): (&str, &str)) -> Result<(), Error> {
    let reasons = connected.all(list, [entity], |row| Ok((column::<i64>(row, 0)?, column::<String>(row, 1)?)))?;
    for (id, reason) in reasons {
        connected.run(put, (id, write_reason(&scrub(read_reason(&reason)?))))?;
    }
    Ok(())
}

pub(super) fn due(connected: &mut Connected, now: Timestamp, limit: usize) -> Result<Vec<EntityKey>, Error> {
    connected.all(ERASE_DUE, (micros(now), limit as i64), |row| entity_of(&column::<String>(row, 0)?))
}

pub(super) fn prune(connected: &mut Connected, before: Timestamp, limit: usize) -> Result<usize, Error> {
    let idle: Vec<i64> = connected.all(ERASE_IDLE, (micros(before), limit as i64), |row| column(row, 0))?;
    let mut tallies = Tallies::default();
    for entity in &idle {
        // The bodies first: they are found by the history.
        connected.run(ERASE_PRUNE_BODIES, [entity])?;
        connected.run(ERASE_PRUNE_RECORDS, [entity])?;
        let timelines = connected.run(ERASE_PRUNE_TIMELINES, [entity])?;
        connected.run(INBOX_DELETE_KEYS, [entity])?;
        connected.run(ERASE_PRUNE_ENTITY, [entity])?;
        tallies.add("timelines", -(timelines as i64));
    }
    tallies.add("entities", -(idle.len() as i64));
    counter::add(connected, tallies)?;
    Ok(idle.len())
}
