//! Snapshots: all that is stored of some entities, at one instant.

use hence_core::name::EntityKey;
use hence_core::timeline::EntitySnapshot;

use super::connection::Connected;
use super::row;
use super::statement::{SNAPSHOT_LIVE, SNAPSHOT_RECORDS, SNAPSHOT_TIMELINES};
use crate::error::Error;

pub(super) fn snapshots(connected: &mut Connected, entities: &[EntityKey]) -> Result<Vec<EntitySnapshot>, Error> {
    entities.iter().map(|entity| snapshot(connected, entity)).collect()
}

fn snapshot(connected: &mut Connected, entity: &EntityKey) -> Result<EntitySnapshot, Error> {
    let mut snapshot =
        EntitySnapshot { entity: entity.clone(), version: 0, timelines: Vec::new(), live: Vec::new(), records: Vec::new() };
    if let Some((id, version)) = connected.entity(entity)? {
        snapshot.version = version;
        snapshot.timelines = connected.all(SNAPSHOT_TIMELINES, [id], row::timeline)?;
        snapshot.live = connected.all(SNAPSHOT_LIVE, [id], row::task)?;
        snapshot.records = connected.all(SNAPSHOT_RECORDS, [id], |row| Ok(row::history(row)?.record))?;
    }
    Ok(snapshot)
}
