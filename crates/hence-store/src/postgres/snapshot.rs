//! Snapshots: all that is stored of some entities, at one instant.

use std::collections::HashMap;

use hence_core::name::EntityKey;
use hence_core::timeline::EntitySnapshot;

use super::connection::Connected;
use super::failure::Stop;
use super::row::{self, column};
use super::statement::{SNAPSHOT_ENTITIES, SNAPSHOT_LIVE, SNAPSHOT_RECORDS, SNAPSHOT_TIMELINES};

pub(super) async fn snapshots(connected: &Connected, entities: &[EntityKey]) -> Result<Vec<EntitySnapshot>, Stop> {
    let mut found: HashMap<&EntityKey, EntitySnapshot> =
        entities.iter().map(|entity| (entity, EntitySnapshot::unknown(entity.clone()))).collect();
    let keys: Vec<String> = found.keys().map(ToString::to_string).collect();
    let keys: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&keys];
    connected.ready(&[&SNAPSHOT_ENTITIES, &SNAPSHOT_TIMELINES, &SNAPSHOT_LIVE, &SNAPSHOT_RECORDS]).await?;
    let (versions, timelines, live, records) = futures::join!(
        connected.rows(&SNAPSHOT_ENTITIES, &keys),
        connected.rows(&SNAPSHOT_TIMELINES, &keys),
        connected.rows(&SNAPSHOT_LIVE, &keys),
        connected.rows(&SNAPSHOT_RECORDS, &keys),
    );
    for row in versions? {
        let entity = row::entity_of(column(&row, 0)?)?;
        if let Some(snapshot) = found.get_mut(&entity) {
            snapshot.version = column(&row, 1)?;
        }
    }
    for row in timelines? {
        let timeline = row::timeline(&row)?;
        if let Some(snapshot) = found.get_mut(&timeline.entity) {
            snapshot.timelines.push(timeline);
        }
    }
    for row in live? {
        let task = row::task(&row)?;
        if let Some(snapshot) = found.get_mut(&task.entity) {
            snapshot.live.push(task);
        }
    }
    for row in records? {
        let record = row::history(&row)?.record;
        if let Some(snapshot) = found.get_mut(&record.entity) {
            snapshot.records.push(record);
        }
    }
    // An entity that was asked for twice is given twice.
    Ok(entities.iter().filter_map(|entity| found.get(entity).cloned()).collect())
}
