//! Ownership: rows of nodes and of the one shard, and a lock on a file beside the store that says whether the owner's process lives.
//!
//! The operating system ends the lock with its process, so that a successor takes over at once; the epoch in the row outdates the
//! predecessor even if it should still run. The lock is taken before the row says so and given up after it, so an owner without the
//! lock is gone. A node that owns nothing has no lock; whether it lives only its beat can tell.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::{MutexGuard, PoisonError};

use hence_core::name::Fence;
use hence_core::shard::Shard;

use super::SqliteStore;
use super::connection::Connected;
use super::row::column;
use super::statement::{LEASE_BEAT, LEASE_FORGET, LEASE_FREE, LEASE_NODES, LEASE_RELEASE, LEASE_SHARD, LEASE_TAKE};
use crate::error::{Error, ErrorKind};
use crate::format::{corrupt, instant, micros};
use crate::port::{Beat, Lease, Life, NodeRow, OwnedShard, Ownership, ShardRow};

/// The only shard of a SQLite store.
pub(super) const SHARD: Shard = Shard(0);

/// The lock, while a node of this process owns the shard.
#[derive(Debug)]
pub(super) struct HeldLock {
    node: String,
    /// Holds the lock for as long as it is open.
    _lock: File,
}

impl SqliteStore {
    pub(super) async fn beat_of_node(&self, beat: &Beat) -> Result<Ownership, Error> {
        let beat = beat.clone();
        let seen = self.write_call(move |connected| {
            connected.run(LEASE_BEAT, (&beat.node, micros(beat.at), beat.is_leaving, &beat.notice, beat.number))?;
            stored(connected)
        });
        self.with_lives(seen.await?)
    }

    pub(super) async fn ownership_of_file(&self) -> Result<Ownership, Error> {
        let seen = self.readers.call(|connected| stored(connected)).await?;
        self.with_lives(seen)
    }

    pub(super) async fn take_shard(&self, node: &str, seen: &[OwnedShard]) -> Result<Vec<OwnedShard>, Error> {
        let Some(seen) = seen.iter().find(|seen| seen.shard == SHARD).copied() else { return Ok(Vec::new()) };
        if self.held().is_some() {
            return Ok(Vec::new());
        }
        let Some(lock) = self.lock_file()? else { return Ok(Vec::new()) };
        let name = node.to_owned();
        let taken = self.write_call(move |connected| take(connected, &name, seen)).await?;
        if taken.is_some() {
            *self.held() = Some(HeldLock { node: node.to_owned(), _lock: lock });
        }
        Ok(taken.into_iter().collect())
    }

    pub(super) async fn release_shard(&self, lease: &Lease) -> Result<(), Error> {
        let Some(epoch) = lease.epoch(SHARD) else { return Ok(()) };
        let node = lease.node.clone();
        let released = self.write_call(move |connected| connected.run(LEASE_RELEASE, (SHARD.0, epoch.0, &node)));
        if released.await? > 0 {
            self.give_up_lock(&lease.node);
        }
        Ok(())
    }

    pub(super) async fn forget_node(&self, node: &str, beat: i64) -> Result<bool, Error> {
        let seen = self.ownership_of_file().await?;
        if seen.node(node).is_some_and(|row| row.life == Life::Alive) {
            return Ok(false);
        }
        let name = node.to_owned();
        let forgotten = self.write_call(move |connected| {
            let is_forgotten = connected.run(LEASE_FORGET, (&name, beat))? > 0;
            if is_forgotten {
                connected.run(LEASE_FREE, [&name])?;
            }
            Ok(is_forgotten)
        });
        let is_forgotten = forgotten.await?;
        if is_forgotten {
            self.give_up_lock(node);
        }
        Ok(is_forgotten)
    }

    /// Adds what the lock says about the owner's life.
    fn with_lives(&self, mut seen: Ownership) -> Result<Ownership, Error> {
        let holder = seen.shards.iter().find_map(|row| row.holder.clone());
        let Some(row) = seen.nodes.iter_mut().find(|row| Some(&row.node) == holder.as_ref()) else { return Ok(seen) };
        row.life = match self.held().is_some() {
            // This process lives; whether the node still does within it, only its beat can tell.
            true => Life::Unknown,
            false if self.is_locked_elsewhere()? => Life::Alive,
            false => Life::Gone,
        };
        Ok(seen)
    }

    fn give_up_lock(&self, node: &str) {
        let mut held = self.held();
        if held.as_ref().is_some_and(|held| held.node == node) {
            *held = None;
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<HeldLock>> {
        // Nothing panics while this is held.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".lock");
        path.into()
    }

    /// The lock beside the file; `None` while another holds it.
    fn lock_file(&self) -> Result<Option<File>, Error> {
        if self.writer.is_none() {
            return Err(Error::new(ErrorKind::ReadOnly, "the store was opened for reading only"));
        }
        let failed = |error: std::io::Error| self.lock_failure(error);
        let file = File::options().create(true).truncate(false).write(true).open(self.lock_path()).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Whether another process has the lock. Looking takes a shared lock for a moment; who wants to take it meanwhile tries again.
    fn is_locked_elsewhere(&self) -> Result<bool, Error> {
        let file = match File::open(self.lock_path()) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.lock_failure(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(self.lock_failure(error)),
        }
    }

    fn lock_failure(&self, error: std::io::Error) -> Error {
        let context = format!("the lock {} cannot be used", self.lock_path().display());
        Error::new(ErrorKind::Unavailable, context).caused_by(error)
    }
}

fn stored(connected: &Connected) -> Result<Ownership, Error> {
    let nodes = connected.all(LEASE_NODES, [], |row| {
        Ok(NodeRow {
            node: column(row, 0)?,
            beat: column(row, 1)?,
            life: Life::Unknown,
            joined_at: instant(column(row, 2)?)?,
            beaten_at: instant(column(row, 3)?)?,
            is_leaving: column(row, 4)?,
            notice: column(row, 5)?,
        })
    })?;
    Ok(Ownership { nodes, shards: vec![shard(connected)?] })
}

fn shard(connected: &Connected) -> Result<ShardRow, Error> {
    let row = connected.find(LEASE_SHARD, [SHARD.0], |row| {
        Ok(ShardRow { shard: SHARD, epoch: Fence(column(row, 0)?), holder: column(row, 1)? })
    })?;
    row.ok_or_else(|| corrupt("the store has lost its shard"))
}

fn take(connected: &mut Connected, node: &str, seen: OwnedShard) -> Result<Option<OwnedShard>, Error> {
    let epoch = connected.take_numbers("fence", 1)?;
    let taken = connected.run(LEASE_TAKE, (SHARD.0, seen.epoch.0, node, epoch))?;
    Ok((taken > 0).then_some(OwnedShard { shard: SHARD, epoch: Fence(epoch) }))
}

/// The epoch under which the lease owns the shard, if it still does.
pub(super) fn epoch(connected: &Connected, lease: &Lease) -> Result<Option<Fence>, Error> {
    let Some(epoch) = lease.epoch(SHARD) else { return Ok(None) };
    let row = shard(connected)?;
    Ok((row.holder.as_ref() == Some(&lease.node) && row.epoch == epoch).then_some(epoch))
}
