//! Accounts and the use of their chat script: what may happen to them, and what Hence has to be told of it.
//!
//! Owns the tables `account` and `widget_hit`. Every function is one transaction; a change and the message about it are
//! written together, so that neither can be lost without the other. Leaves to others: sending messages (`outbox`).

use axum::http::StatusCode;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json};

use crate::database::{Failure, instant_of, text_of};
use crate::hence_calls::AccountId;
use crate::outbox::{self, Message};

/// Length of a trial.
pub const TRIAL_DAYS: u32 = 30;
/// Longest extension at once.
const EXTEND_DAYS_MAX: u32 = 365;
/// Most hits in one report.
const HITS_MAX: u32 = 1_000_000_000;
/// Longest address that mail knows, in bytes.
const EMAIL_BYTES_MAX: usize = 254;
/// How far back use of the script counts.
const USAGE_WINDOW: SignedDuration = SignedDuration::from_hours(48);

/// A customer's account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) email: String,
    pub(crate) timezone: String,
    pub(crate) created_at: Timestamp,
    pub(crate) trial_days: u32,
    pub(crate) paid_at: Option<Timestamp>,
    pub(crate) status: String,
}

impl Account {
    /// What a reader over HTTP and Hence may know of it.
    pub(crate) fn facts(&self) -> Value {
        json!({
            "email": self.email,
            "timezone": self.timezone,
            "paid_at": self.paid_at.map(|at| at.to_string()),
            "status": self.status,
        })
    }

    fn read(row: &Row<'_>) -> Result<Account, Failure> {
        let paid_at: Option<String> = row.get("paid_at")?;
        Ok(Account {
            id: AccountId(row.get("id")?),
            email: row.get("email")?,
            timezone: row.get("timezone")?,
            created_at: instant_of(&row.get::<_, String>("created_at")?)?,
            trial_days: row.get("trial_days")?,
            paid_at: paid_at.as_deref().map(instant_of).transpose()?,
            status: row.get("status")?,
        })
    }
}

/// What a customer does with an account.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Sets payment up; also brings an account back that was switched off.
    Pay,
    /// Leaves for good.
    Close,
    /// Gets more days of trial.
    Extend { days: u32 },
    /// Moves to another time zone.
    Move { timezone: String },
}

/// Creates an account on trial.
pub(crate) fn sign_up(connection: &mut Connection, email: &str, timezone: &str, now: Timestamp) -> Result<AccountId, Failure> {
    let email = checked_email(email)?;
    let timezone = checked_timezone(timezone)?;
    let transaction = connection.transaction()?;
    transaction.execute(
        "insert into account (email, timezone, created_at, trial_days, status) values (?1, ?2, ?3, ?4, 'trial')",
        params![email, timezone, text_of(now), TRIAL_DAYS],
    )?;
    let id = AccountId(transaction.last_insert_rowid());
    let facts = json!({ "account": find(&transaction, id)?.facts() });
    outbox::put(&transaction, &Message { account: id, event: None, at: now, content: json!({}), facts })?;
    transaction.commit()?;
    Ok(id)
}

/// Changes an account; what already is so changes nothing and tells nobody.
pub(crate) fn change(connection: &mut Connection, id: AccountId, change: &Change, now: Timestamp) -> Result<Account, Failure> {
    let transaction = connection.transaction()?;
    let before = find(&transaction, id)?;
    let mut after = before.clone();
    let (event, content) = match change {
        Change::Pay if before.status == "paid" => return Ok(before),
        Change::Close if before.status == "closed" => return Ok(before),
        _ if before.status == "closed" => return Err(conflict(id, "is closed")),
        Change::Pay => {
            after.paid_at = Some(now);
            after.status = "paid".to_owned();
            ("account.paid", json!({}))
        }
        Change::Close => {
            after.status = "closed".to_owned();
            ("account.closed", json!({}))
        }
        Change::Extend { .. } if before.status != "trial" => return Err(conflict(id, "is not on trial any more")),
        Change::Extend { days } => {
            if !(1..=EXTEND_DAYS_MAX).contains(days) {
                return Err(unusable(format!("a trial can be extended by 1 to {EXTEND_DAYS_MAX} days, not by {days}")));
            }
            after.trial_days = before.trial_days.saturating_add(*days);
            ("trial.extended", json!({ "days": days }))
        }
        Change::Move { timezone } => {
            after.timezone = checked_timezone(timezone)?.to_owned();
            if after.timezone == before.timezone {
                return Ok(before);
            }
            ("account.timezone_changed", json!({ "timezone": after.timezone }))
        }
    };
    transaction.execute(
        "update account set timezone = ?2, trial_days = ?3, paid_at = ?4, status = ?5 where id = ?1",
        params![id.0, after.timezone, after.trial_days, after.paid_at.map(text_of), after.status],
    )?;
    let facts = json!({ "account": after.facts() });
    outbox::put(&transaction, &Message { account: id, event: Some(event.to_owned()), at: now, content, facts })?;
    transaction.commit()?;
    Ok(after)
}

/// Switches an account off because its trial is over; gives the word to answer, or `None` when there is no such account.
pub(crate) fn deactivate(connection: &Connection, id: AccountId) -> Result<Option<&'static str>, Failure> {
    connection.execute("update account set status = 'deactivated' where id = ?1 and status = 'trial'", [id.0])?;
    let status: Option<String> =
        connection.query_row("select status from account where id = ?1", [id.0], |row| row.get(0)).optional()?;
    Ok(status.map(|status| match status.as_str() {
        "paid" => "already_paid",
        "closed" => "already_closed",
        _ => "deactivated",
    }))
}

/// Writes down that the script was seen on the customer's site.
pub(crate) fn report_usage(connection: &Connection, id: AccountId, hits: u32, now: Timestamp) -> Result<(), Failure> {
    if hits > HITS_MAX {
        return Err(unusable(format!("a report has at most {HITS_MAX} hits, not {hits}")));
    }
    find(connection, id)?;
    connection.execute("insert into widget_hit (account_id, at, hits) values (?1, ?2, ?3)", params![id.0, text_of(now), hits])?;
    Ok(())
}

/// Hits of the script in the 48 hours up to `now`.
pub(crate) fn hits_last_2_days(connection: &Connection, id: AccountId, now: Timestamp) -> Result<i64, Failure> {
    find(connection, id)?;
    let since = now.saturating_sub(USAGE_WINDOW)?;
    Ok(connection.query_row(
        "select coalesce(sum(hits), 0) from widget_hit where account_id = ?1 and at > ?2 and at <= ?3",
        params![id.0, text_of(since), text_of(now)],
        |row| row.get(0),
    )?)
}

/// The account.
pub(crate) fn find(connection: &Connection, id: AccountId) -> Result<Account, Failure> {
    let mut statement =
        connection.prepare("select id, email, timezone, created_at, trial_days, paid_at, status from account where id = ?1")?;
    let mut rows = statement.query([id.0])?;
    match rows.next()? {
        Some(row) => Account::read(row),
        None => Err(Failure::refused(StatusCode::NOT_FOUND, format!("there is no account {id}"))),
    }
}

/// Up to `limit` accounts with numbers below `before`, the newest first.
pub(crate) fn list(connection: &Connection, before: AccountId, limit: u32) -> Result<Vec<Account>, Failure> {
    let mut statement = connection.prepare(
        "select id, email, timezone, created_at, trial_days, paid_at, status from account where id < ?1 order by id desc limit ?2",
    )?;
    let mut rows = statement.query(params![before.0, limit])?;
    let mut accounts = Vec::new();
    while let Some(row) = rows.next()? {
        accounts.push(Account::read(row)?);
    }
    Ok(accounts)
}

fn conflict(id: AccountId, why: &str) -> Failure {
    Failure::refused(StatusCode::CONFLICT, format!("account {id} {why}"))
}

fn unusable(message: String) -> Failure {
    Failure::Refused(StatusCode::UNPROCESSABLE_ENTITY, message)
}

/// Something before and behind one `@`, and nothing that could leave a mail header; that it works, only a mail can tell.
fn checked_email(email: &str) -> Result<&str, Failure> {
    let email = email.trim();
    let is_plain = !email.chars().any(|c| c.is_whitespace() || c.is_control() || c == ',');
    let has_parts = email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    if is_plain && has_parts && email.len() <= EMAIL_BYTES_MAX {
        Ok(email)
    } else {
        Err(unusable("write a mail address such as anna@example.com".to_owned()))
    }
}

fn checked_timezone(timezone: &str) -> Result<&str, Failure> {
    let timezone = timezone.trim();
    match TimeZone::get(timezone) {
        Ok(zone) if zone.iana_name() == Some(timezone) || timezone == "UTC" => Ok(timezone),
        _ => Err(unusable("write a time zone by its IANA name, such as Europe/Oslo".to_owned())),
    }
}
