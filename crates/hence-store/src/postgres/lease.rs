//! Ownership: nodes with their beats, shards with their epochs. The database knows nothing of a node's life but its beat.

use hence_core::name::Fence;
use hence_core::shard::Shard;

use super::connection::Connected;
use super::failure::Stop;
use super::row::{code, column, escape, unescape};
use super::start::{Owned, shard_number};
use super::statement::{LEASE_BEAT, LEASE_FORGET, LEASE_FREE, LEASE_NODES, LEASE_RELEASE, LEASE_SHARDS, LEASE_TAKE};
use crate::error::Error;
use crate::format::{corrupt, instant, micros};
use crate::port::{Beat, Life, NodeRow, OwnedShard, Ownership, ShardRow};

pub(super) async fn beat(connected: &Connected, beat: &Beat) -> Result<Ownership, Stop> {
    let notice = beat.notice.as_deref().map(escape);
    connected.run(&LEASE_BEAT, &[&escape(&beat.node), &micros(beat.at), &beat.is_leaving, &notice, &beat.number]).await?;
    ownership(connected).await
}

pub(super) async fn ownership(connected: &Connected) -> Result<Ownership, Stop> {
    let (nodes, shards) = futures::join!(connected.rows(&LEASE_NODES, &[]), connected.rows(&LEASE_SHARDS, &[]));
    let nodes = nodes?
        .iter()
        .map(|row| {
            Ok(NodeRow {
                node: unescape(column(row, 0)?),
                beat: column(row, 1)?,
                life: Life::Unknown,
                joined_at: instant(column(row, 2)?)?,
                beaten_at: instant(column(row, 3)?)?,
                is_leaving: column(row, 4)?,
                notice: column::<Option<&str>>(row, 5)?.map(unescape),
            })
        })
        .collect::<Result<_, Error>>()?;
    let shards = shards?
        .iter()
        .map(|row| {
            Ok(ShardRow {
                shard: shard(code(row, 0)?)?,
                epoch: Fence(column(row, 1)?),
                holder: column::<Option<&str>>(row, 2)?.map(unescape),
            })
        })
        .collect::<Result<_, Error>>()?;
    Ok(Ownership { nodes, shards })
}

pub(super) async fn take(connected: &Connected, node: &str, seen: &[OwnedShard]) -> Result<Vec<OwnedShard>, Stop> {
    let shards: Vec<i16> = seen.iter().map(|seen| shard_number(seen.shard)).collect();
    let epochs: Vec<i64> = seen.iter().map(|seen| seen.epoch.0).collect();
    let rows = connected.rows(&LEASE_TAKE, &[&escape(node), &shards, &epochs]).await?;
    let taken = rows.iter().map(|row| Ok(OwnedShard { shard: shard(code(row, 0)?)?, epoch: Fence(column(row, 1)?) }));
    let mut taken: Vec<OwnedShard> = taken.collect::<Result<_, Error>>()?;
    taken.sort_unstable();
    Ok(taken)
}

pub(super) async fn release(connected: &Connected, lease: &Owned) -> Result<(), Stop> {
    connected.run(&LEASE_RELEASE, &[&lease.node, &lease.shards, &lease.epochs]).await.map(|_| ())
}

pub(super) async fn forget(connected: &Connected, node: &str, beat: i64) -> Result<bool, Stop> {
    let node = escape(node);
    if connected.run(&LEASE_FORGET, &[&node, &beat]).await? == 0 {
        return Ok(false);
    }
    connected.run(&LEASE_FREE, &[&node]).await?;
    Ok(true)
}

fn shard(number: i64) -> Result<Shard, Error> {
    u16::try_from(number).map(Shard).map_err(|error| corrupt("a stored shard has no number").caused_by(error))
}
