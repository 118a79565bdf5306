//! The three jobs.
//!
//! Owns who is selected, what is done and in which order it is marked. Every mail is claimed, sent and marked, each in a
//! transaction of its own: a crash leaves at most one mail of which nobody knows whether it went out, and [`InDoubt`] says what
//! the next run does with it. Two runs at the same time are kept apart by a lock on a file beside the database.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use rusqlite::Connection;

use crate::days::{self, Due, day_of};
use crate::memory::{self, Claim, Mail};
use crate::post::{NotSent, Post};

/// What to do with a mail that an earlier run began and did not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InDoubt {
    /// Send it: perhaps for the second time.
    Send,
    /// Leave it: perhaps it was never sent.
    Leave,
}

/// What one run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Mails that the server took.
    pub mailed: u32,
    /// Accounts that were switched off.
    pub switched_off: u32,
    /// Accounts that do not load the script any more.
    pub gone: u32,
    /// Accounts whose switch-off is so late that a person has to decide.
    pub too_late: u32,
    /// Mails that the server did not take; the next run tries again.
    pub not_sent: u32,
    /// Mails of which nobody knows whether they were sent, and that were left.
    pub in_doubt: u32,
}

/// The jobs over one database.
pub struct Jobs {
    connection: Connection,
    post: Post,
    in_doubt: InDoubt,
    /// Holds the lock for as long as it is open.
    _lock: File,
}

impl Jobs {
    /// Opens the database of the chat back end, which must be there, and keeps other runs out for as long as this lives.
    ///
    /// # Errors
    /// There is no such database, it cannot be written, or another run is under way.
    pub fn open(database: &Path, post: Post, in_doubt: InDoubt) -> anyhow::Result<Jobs> {
        let lock = lock(database)?;
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(database, flags)
            .with_context(|| format!("cannot open the database {}", database.display()))?;
        memory::prepare(&connection)?;
        Ok(Jobs { connection, post, in_doubt, _lock: lock })
    }

    /// All three, in the order of the trial.
    ///
    /// # Errors
    /// The database cannot be read or written; what was done until then is marked.
    pub fn night(&mut self, now: Timestamp) -> anyhow::Result<Report> {
        let mut report = Report::default();
        self.remind(now, &mut report)?;
        self.expire(now, &mut report)?;
        self.look(now, &mut report)?;
        Ok(report)
    }

    /// Mails everybody whose trial ends in five days.
    ///
    /// # Errors
    /// As [`Jobs::night`].
    pub fn remind(&mut self, now: Timestamp, report: &mut Report) -> anyhow::Result<()> {
        let mut after = 0;
        loop {
            let page = memory::on_trial(&self.connection, after, Some(Mail::TrialEnding))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for account in page {
                if account.trial.remind(now)? == Due::Now {
                    self.mail(Mail::TrialEnding, (account.id, &account.email), now, report)?;
                }
            }
        }
    }

    /// Switches off everybody whose trial is over, and tells them.
    ///
    /// # Errors
    /// As [`Jobs::night`].
    pub fn expire(&mut self, now: Timestamp, report: &mut Report) -> anyhow::Result<()> {
        let mut after = 0;
        loop {
            let page = memory::on_trial(&self.connection, after, None)?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for account in page {
                match account.trial.expire(now)? {
                    Due::NotYet => {}
                    Due::TooLate => report.too_late += 1,
                    Due::Now => {
                        let today = days::today(&account.trial.timezone, now)?;
                        let is_off = memory::switch_off(&mut self.connection, account.id, now, today)?;
                        report.switched_off += u32::from(is_off);
                    }
                }
            }
        }
        // Also those of an earlier run that did not come to telling them.
        let mut after = 0;
        loop {
            let page = memory::untold(&self.connection, after)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for account in page {
                self.mail(Mail::TrialOver, (account.id, &account.email), now, report)?;
            }
        }
    }

    /// Looks, two days after the switch-off, whether the script is still in use, and mails if so.
    ///
    /// # Errors
    /// As [`Jobs::night`].
    pub fn look(&mut self, now: Timestamp, report: &mut Report) -> anyhow::Result<()> {
        let mut after = 0;
        loop {
            let page = memory::unlooked(&self.connection, after)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for account in page {
                if days::look(day_of(&account.ended_on)?, &account.timezone, now)? != Due::Now {
                    continue;
                }
                let is_used = memory::hits(&self.connection, account.id, now)? > 0;
                let is_dealt_with = !is_used || self.mail(Mail::StillUsed, (account.id, &account.email), now, report)?;
                report.gone += u32::from(!is_used);
                if is_dealt_with {
                    memory::looked(&self.connection, account.id, now)?;
                }
            }
        }
    }

    /// Claims, sends, marks; whether the mail needs no further try.
    fn mail(&mut self, mail: Mail, (id, to): (i64, &str), now: Timestamp, report: &mut Report) -> anyhow::Result<bool> {
        match memory::claim(&self.connection, id, mail, now)? {
            Claim::Sent => return Ok(true),
            Claim::InDoubt if self.in_doubt == InDoubt::Leave => {
                report.in_doubt += 1;
                return Ok(false);
            }
            Claim::Made | Claim::InDoubt => {}
        }
        match self.post.send(mail, id, to) {
            Ok(()) => {
                memory::sent(&self.connection, id, mail, now)?;
                report.mailed += 1;
                Ok(true)
            }
            Err(NotSent::Certainly(error)) => {
                tracing::warn!(error = format!("{error:#}"), "the next run tries again");
                memory::unclaim(&self.connection, id, mail)?;
                report.not_sent += 1;
                Ok(false)
            }
            Err(NotSent::Perhaps(error)) => {
                tracing::warn!(error = format!("{error:#}"), "nobody knows whether it was sent");
                report.not_sent += 1;
                Ok(false)
            }
        }
    }
}

fn lock(database: &Path) -> anyhow::Result<File> {
    let mut path = database.as_os_str().to_owned();
    path.push(".batch-lock");
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).context("cannot make the lock of the jobs")?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("another run is under way"),
        Err(TryLockError::Error(error)) => Err(error).context("cannot take the lock of the jobs"),
    }
}
