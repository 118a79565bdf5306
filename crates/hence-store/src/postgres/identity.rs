//! Who the store is, the clock that its processes share, and numbers for new tasks and timelines.

use std::ops::Range;

use super::connection::Connected;
use super::failure::Stop;
use super::row::{code, column, maybe_instant};
use super::schema;
use super::statement::{IDENTITY_SET_CLOCK, IDENTITY_STORE, IDENTITY_TAKE_NUMBERS};
use crate::format::{corrupt, instant, micros};
use crate::limits::invalid;
use crate::port::{ClockSetting, StoreIdentity};

/// How many numbers are reserved at least, so that most calls write nothing.
const IDS_RESERVED_MIN: usize = 1024;

pub(super) async fn identity(connected: &Connected) -> Result<StoreIdentity, Stop> {
    let found = connected.first(&IDENTITY_STORE, &[]).await?.ok_or_else(|| corrupt("the store has no identity"))?;
    let shards = u16::try_from(code(&found, 1)?).map_err(|error| corrupt("the store has no shards").caused_by(error))?;
    let schema_version = schema::found(connected).await?.unwrap_or_default();
    Ok(StoreIdentity { store_id: column(&found, 0)?, schema_version, shards })
}

pub(super) async fn clock(connected: &Connected) -> Result<ClockSetting, Stop> {
    let found = connected.first(&IDENTITY_STORE, &[]).await?.ok_or_else(|| corrupt("the store has no identity"))?;
    Ok(match (maybe_instant(&found, 2)?, maybe_instant(&found, 3)?) {
        (Some(now), Some(target)) => ClockSetting::Virtual { now, target },
        _ => ClockSetting::Database { now: instant(column(&found, 4)?)? },
    })
}

pub(super) async fn set_clock(connected: &Connected, setting: ClockSetting) -> Result<(), Stop> {
    let (now, target) = match setting {
        ClockSetting::System | ClockSetting::Database { .. } => (None, None),
        ClockSetting::Virtual { now, target } => (Some(micros(now)), Some(micros(target))),
    };
    connected.run(&IDENTITY_SET_CLOCK, &[&now, &target]).await.map(|_| ())
}

/// The last of `count` new numbers of a sequence.
pub(super) async fn take_numbers(connected: &Connected, sequence: &str, count: usize) -> Result<i64, Stop> {
    let count = i64::try_from(count).map_err(|error| invalid("too many numbers").caused_by(error))?;
    let taken = connected.first(&IDENTITY_TAKE_NUMBERS, &[&sequence, &count]).await?;
    let taken = taken.ok_or_else(|| corrupt("a sequence of the store is gone"))?;
    Ok(column(&taken, 0)?)
}

/// A block of new numbers, at least `count`, durable when the call is answered.
pub(super) async fn reserve(connected: &Connected, count: usize) -> Result<Range<i64>, Stop> {
    let count = count.max(IDS_RESERVED_MIN);
    let last = take_numbers(connected, "id", count).await?;
    // `take_numbers` has just added the count to what was stored, so this is the first of the block.
    Ok(last - count as i64 + 1..last + 1)
}
