//! Who the store is, the clock that its processes share, and numbers for new tasks and timelines.

use std::ops::Range;
use std::sync::{MutexGuard, PoisonError};

use super::SqliteStore;
use super::connection::Connected;
use super::row::{column, maybe_instant};
use super::schema::{self, SCHEMA_VERSION};
use super::statement::{IDENTITY_SET_CLOCK, IDENTITY_STORE};
use crate::error::Error;
use crate::format::{corrupt, micros};
use crate::ids::IdBlock;
use crate::port::{ClockSetting, StoreIdentity};

/// How many numbers are reserved at least, so that most calls write nothing.
const IDS_RESERVED_MIN: usize = 1024;

pub(super) fn identity(connected: &mut Connected) -> Result<StoreIdentity, Error> {
    let store_id = connected.find(IDENTITY_STORE, [], |row| column(row, 0))?;
    let store_id = store_id.ok_or_else(|| corrupt("the store has no identity"))?;
    let found = schema::check(connected, true)?;
    debug_assert!(found <= SCHEMA_VERSION);
    Ok(StoreIdentity { store_id, schema_version: found, shards: 1 })
}

pub(super) fn clock(connected: &mut Connected) -> Result<ClockSetting, Error> {
    let read = connected.find(IDENTITY_STORE, [], |row| Ok((maybe_instant(row, 1)?, maybe_instant(row, 2)?)))?;
    Ok(match read {
        Some((Some(now), Some(target))) => ClockSetting::Virtual { now, target },
        _ => ClockSetting::System,
    })
}

pub(super) fn set_clock(connected: &mut Connected, setting: ClockSetting) -> Result<(), Error> {
    let (now, target) = match setting {
        ClockSetting::System | ClockSetting::Database { .. } => (None, None),
        ClockSetting::Virtual { now, target } => (Some(micros(now)), Some(micros(target))),
    };
    connected.run(IDENTITY_SET_CLOCK, (now, target)).map(|_| ())
}

/// A block of new numbers, at least `count`, durable when the call is answered.
pub(super) fn reserve(connected: &mut Connected, count: usize) -> Result<Range<i64>, Error> {
    let count = count.max(IDS_RESERVED_MIN);
    let last = connected.take_numbers("id", count)?;
    // `take_numbers` has just added the count to what was stored, so this is the first of the block.
    let first = last - count as i64 + 1;
    Ok(first..last + 1)
}

impl SqliteStore {
    pub(super) fn ids(&self) -> MutexGuard<'_, IdBlock> {
        // Nothing panics while this is held; and a block is right or used up, whatever happened.
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
