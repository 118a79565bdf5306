//! The lease: a row that says who owns the one shard, and a lock on a file beside the store that says whether the owner lives.
//!
//! The operating system ends the lock with its process, so that a successor takes over at once; the epoch in the row outdates the
//! predecessor even if it should still run.

use std::fs::{File, TryLockError};
use std::sync::{MutexGuard, PoisonError};

use hence_core::name::Fence;
use jiff::Timestamp;

use super::SqliteStore;
use super::connection::Connected;
use super::row::column;
use super::statement::{LEASE_FIND, LEASE_RELEASE, LEASE_RENEW, LEASE_TAKE};
use crate::error::{Error, ErrorKind};
use crate::format::micros;
use crate::port::Lease;

/// The only shard of a SQLite store.
const SHARD: u16 = 0;

/// A lease that this process took.
#[derive(Debug)]
pub(super) struct HeldLease {
    node: String,
    epoch: Fence,
    /// Holds the lock for as long as it is open.
    _lock: File,
}

impl SqliteStore {
    pub(super) async fn take_lease_of_file(&self, node: &str, now: Timestamp) -> Result<Lease, Error> {
        let holder = self.held().as_ref().map(|held| held.node.clone());
        let lock = match holder {
            Some(by) if by != node => return Err(held_by(by)),
            Some(_) => None,
            None => match self.lock_file()? {
                Some(lock) => Some(lock),
                None => {
                    let by = self.readers.call(|connected| Ok(stored(connected)?.map(|(node, _)| node))).await?;
                    return Err(held_by(by.unwrap_or_default()));
                }
            },
        };
        let name = node.to_owned();
        let epoch = self.write_call(move |connected| take(connected, &name, now)).await?;
        let mut held = self.held();
        // Either the lock was taken just now, or this process holds it already.
        if let Some(lock) = lock.or_else(|| held.take().map(|held| held._lock)) {
            *held = Some(HeldLease { node: node.to_owned(), epoch, _lock: lock });
        }
        Ok(Lease { node: node.to_owned(), epoch, shards: vec![SHARD] })
    }

    pub(super) async fn release_lease_of_file(&self, lease: &Lease) -> Result<(), Error> {
        let epoch = lease.epoch;
        self.write_call(move |connected| connected.run(LEASE_RELEASE, (SHARD, epoch.0)).map(|_| ())).await?;
        let mut held = self.held();
        if held.as_ref().is_some_and(|held| held.epoch == epoch) {
            *held = None;
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, Option<HeldLease>> {
        // Nothing panics while this is held.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock beside the file; `None` while another holds it.
    fn lock_file(&self) -> Result<Option<File>, Error> {
        let mut path = self.path.clone().into_os_string();
        path.push(".lock");
        let context = || format!("the lock {} cannot be taken", path.to_string_lossy());
        let failed = |error: std::io::Error| Error::new(ErrorKind::Unavailable, context()).caused_by(error);
        if self.writer.is_none() {
            return Err(Error::new(ErrorKind::ReadOnly, "the store was opened for reading only"));
        }
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

fn held_by(by: String) -> Error {
    let context = format!("another engine holds the lease: {by}");
    Error::new(ErrorKind::LeaseHeld { by }, context)
}

fn stored(connected: &Connected) -> Result<Option<(String, Fence)>, Error> {
    connected.find(LEASE_FIND, [SHARD], |row| Ok((column(row, 0)?, Fence(column(row, 1)?))))
}

fn take(connected: &mut Connected, node: &str, now: Timestamp) -> Result<Fence, Error> {
    let epoch = connected.take_numbers("fence", 1)?;
    connected.run(LEASE_TAKE, (SHARD, node, epoch, micros(now)))?;
    Ok(Fence(epoch))
}

/// Holds the lease against what is stored.
pub(super) fn check(connected: &Connected, lease: &Lease) -> Result<(), Error> {
    match stored(connected)? {
        Some((_, epoch)) if epoch == lease.epoch => Ok(()),
        _ => Err(lost(lease)),
    }
}

pub(super) fn renew(connected: &mut Connected, lease: &Lease, now: Timestamp) -> Result<(), Error> {
    match connected.run(LEASE_RENEW, (SHARD, lease.epoch.0, micros(now)))? {
        0 => Err(lost(lease)),
        _ => Ok(()),
    }
}

fn lost(lease: &Lease) -> Error {
    Error::new(ErrorKind::FenceLost, format!("the lease of node {} is outdated", lease.node))
}
