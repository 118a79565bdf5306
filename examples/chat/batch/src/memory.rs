//! The memory of the jobs: who is on trial, whom a mail went to, who was switched off.
//!
//! Owns the statements. Lists are read in pages by account number, so that a job holds no read transaction while it mails.

use anyhow::Context;
use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::days::{Trial, instant_of, text_of};

/// Accounts read at once.
pub(crate) const PAGE: i64 = 500;

/// The mails of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mail {
    TrialEnding,
    TrialOver,
    StillUsed,
}

impl Mail {
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Mail::TrialEnding => "trial_ending",
            Mail::TrialOver => "trial_over",
            Mail::StillUsed => "still_used",
        }
    }
}

/// An account on trial that has not paid.
#[derive(Debug)]
pub(crate) struct OnTrial {
    pub(crate) id: i64,
    pub(crate) email: String,
    pub(crate) trial: Trial,
}

/// An account that was switched off and has neither paid nor left since.
#[derive(Debug)]
pub(crate) struct SwitchedOff {
    pub(crate) id: i64,
    pub(crate) email: String,
    pub(crate) timezone: String,
    pub(crate) ended_on: String,
}

/// Opens the database of the chat back end and adds the tables of the jobs.
pub(crate) fn prepare(connection: &Connection) -> anyhow::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.execute_batch(include_str!("schema.sql")).context("cannot add the tables of the jobs to this database")
}

/// Accounts on trial behind number `after`; with `without`, those that were not yet sent that mail.
pub(crate) fn on_trial(connection: &Connection, after: i64, without: Option<Mail>) -> anyhow::Result<Vec<OnTrial>> {
    let mut statement = connection.prepare(
        "select id, email, timezone, created_at, trial_days from account a
         where a.status = 'trial' and a.paid_at is null and a.id > ?1
           and not exists (select 1 from trial_mail m where m.account_id = a.id and m.kind = ?2 and m.sent_at is not null)
         order by a.id limit ?3",
    )?;
    let mut rows = statement.query(params![after, without.map(Mail::kind), PAGE])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let trial = Trial { timezone: row.get(2)?, created_at: instant_of(&row.get::<_, String>(3)?)?, trial_days: row.get(4)? };
        found.push(OnTrial { id: row.get(0)?, email: row.get(1)?, trial });
    }
    Ok(found)
}

/// Accounts behind number `after` that were switched off and not yet told so.
pub(crate) fn untold(connection: &Connection, after: i64) -> anyhow::Result<Vec<SwitchedOff>> {
    switched_off(
        connection,
        after,
        "not exists (select 1 from trial_mail m where m.account_id = a.id and m.kind = 'trial_over' and m.sent_at is not null)",
    )
}

/// Accounts behind number `after` that were switched off and not yet looked at again.
pub(crate) fn unlooked(connection: &Connection, after: i64) -> anyhow::Result<Vec<SwitchedOff>> {
    switched_off(connection, after, "e.looked_at is null")
}

fn switched_off(connection: &Connection, after: i64, which: &str) -> anyhow::Result<Vec<SwitchedOff>> {
    let mut statement = connection.prepare(&format!(
        "select a.id, a.email, a.timezone, e.ended_on from trial_end e join account a on a.id = e.account_id
         where a.status = 'deactivated' and a.paid_at is null and a.id > ?1 and {which} order by a.id limit ?2"
    ))?;
    let read =
        |row: &Row<'_>| Ok(SwitchedOff { id: row.get(0)?, email: row.get(1)?, timezone: row.get(2)?, ended_on: row.get(3)? });
    let found = statement.query_map(params![after, PAGE], read)?.collect::<Result<Vec<_>, _>>()?;
    Ok(found)
}

/// Switches off in one transaction with the mark; `false` when the customer paid or left meanwhile.
pub(crate) fn switch_off(connection: &mut Connection, id: i64, now: Timestamp, today: Date) -> anyhow::Result<bool> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let off = "update account set status = 'deactivated' where id = ?1 and status = 'trial' and paid_at is null";
    if transaction.execute(off, [id])? == 0 {
        return Ok(false);
    }
    transaction.execute(
        "insert into trial_end (account_id, ended_at, ended_on) values (?1, ?2, ?3)
         on conflict (account_id) do update set ended_at = ?2, ended_on = ?3, looked_at = null",
        params![id, text_of(now), today.to_string()],
    )?;
    transaction.commit()?;
    Ok(true)
}

/// Hits of the script in the 48 hours up to `now`.
pub(crate) fn hits(connection: &Connection, id: i64, now: Timestamp) -> anyhow::Result<i64> {
    let since = now - jiff::SignedDuration::from_hours(48);
    let sum = "select coalesce(sum(hits), 0) from widget_hit where account_id = ?1 and at > ?2 and at <= ?3";
    Ok(connection.query_row(sum, params![id, text_of(since), text_of(now)], |row| row.get(0))?)
}

/// Marks that it was looked for the script.
pub(crate) fn looked(connection: &Connection, id: i64, now: Timestamp) -> anyhow::Result<()> {
    connection.execute("update trial_end set looked_at = ?2 where account_id = ?1", params![id, text_of(now)])?;
    Ok(())
}

/// What a claim found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is ours: send.
    Made,
    /// An earlier run claimed it and did not come to say that it was sent.
    InDoubt,
    /// It was sent.
    Sent,
}

/// Claims a mail before it is sent; durable when this returns.
pub(crate) fn claim(connection: &Connection, id: i64, mail: Mail, now: Timestamp) -> anyhow::Result<Claim> {
    let new = "insert into trial_mail (account_id, kind, claimed_at) values (?1, ?2, ?3) on conflict do nothing";
    if connection.execute(new, params![id, mail.kind(), text_of(now)])? == 1 {
        return Ok(Claim::Made);
    }
    let stored = "select sent_at from trial_mail where account_id = ?1 and kind = ?2";
    let sent_at: Option<Option<String>> = connection.query_row(stored, params![id, mail.kind()], |row| row.get(0)).optional()?;
    Ok(if sent_at.flatten().is_some() { Claim::Sent } else { Claim::InDoubt })
}

/// Marks a claimed mail as sent.
pub(crate) fn sent(connection: &Connection, id: i64, mail: Mail, now: Timestamp) -> anyhow::Result<()> {
    let mark = "update trial_mail set sent_at = ?3 where account_id = ?1 and kind = ?2";
    connection.execute(mark, params![id, mail.kind(), text_of(now)])?;
    Ok(())
}

/// Gives a claim back: the mail was certainly not sent.
pub(crate) fn unclaim(connection: &Connection, id: i64, mail: Mail) -> anyhow::Result<()> {
    let back = "delete from trial_mail where account_id = ?1 and kind = ?2 and sent_at is null";
    connection.execute(back, params![id, mail.kind()])?;
    Ok(())
}
