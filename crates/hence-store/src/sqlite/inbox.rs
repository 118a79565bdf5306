//! The inbox: wishes from acceptance until they are carried out, and the idempotency keys they came with.

use hence_core::name::{EntityKey, WishId};
use hence_core::wish::write_wish;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::connection::Connected;
use super::counter;
use super::entity;
use super::row::{self, column};
use super::statement::{INBOX_EXPIRE_KEYS, INBOX_FIND_KEY, INBOX_INSERT, INBOX_LIST, INBOX_OF_ENTITY, INBOX_PUT_KEY, INBOX_TELL};
use crate::error::Error;
use crate::format::micros;
use crate::limits::KEY_KEPT;
use crate::port::{Acceptance, InboxEntry, NewWish, Statement};
use crate::tallies::Tallies;

pub(super) fn accept(connected: &mut Connected, wishes: &[NewWish], now: Timestamp) -> Result<Vec<Acceptance>, Error> {
    let kept_since = now.saturating_sub(KEY_KEPT).unwrap_or(Timestamp::MIN);
    connected.run(INBOX_EXPIRE_KEYS, [micros(kept_since)])?;
    let mut tallies = Tallies::default();
    let mut accepted = Vec::with_capacity(wishes.len());
    for wish in wishes {
        accepted.push(accept_one(connected, wish, now, &mut tallies)?);
    }
    counter::add(connected, tallies)?;
    Ok(accepted)
}

fn accept_one(connected: &mut Connected, new: &NewWish, now: Timestamp, tallies: &mut Tallies) -> Result<Acceptance, Error> {
    let body = write_wish(&new.wish);
    let hash = Sha256::digest(body.as_bytes());
    if let Some(key) = &new.key {
        let known = connected.find(INBOX_FIND_KEY, [key], |row| Ok((column(row, 0)?, column::<Vec<u8>>(row, 1)?)))?;
        if let Some((id, known)) = known {
            let id = WishId(id);
            let is_same = known.as_slice() == hash.as_slice();
            return Ok(if is_same { Acceptance::Accepted { id, is_duplicate: true } } else { Acceptance::KeyConflict { id } });
        }
    }
    let (entity, _) = entity::find_or_insert(connected, new.wish.entity(), now, tallies)?;
    connected.run(INBOX_INSERT, (entity, micros(new.at), &new.actor, &body))?;
    let id = connected.last_inserted();
    tallies.add("wishes", 1);
    if let Some(key) = &new.key {
        connected.run(INBOX_PUT_KEY, (key, id, entity, hash.as_slice(), micros(now)))?;
    }
    Ok(Acceptance::Accepted { id: WishId(id), is_duplicate: false })
}

/// The statement by which another program puts this wish within a transaction of its own; it is committed and rolled back with that.
pub(super) fn statement(new: &NewWish, now: Timestamp) -> Statement {
    let body = write_wish(&new.wish);
    let hash: String = Sha256::digest(body.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut document = serde_json::json!({
        "entity": new.wish.entity().to_string(),
        "at": micros(new.at),
        "actor": new.actor,
        "body": body,
        "accepted_at": micros(now),
    });
    if let Some(key) = &new.key {
        document["key"] = key.as_str().into();
        document["hash"] = hash.into();
    }
    Statement { sql: INBOX_TELL, value: document.to_string() }
}

pub(super) fn list(connected: &mut Connected, ready_at: Timestamp, limit: usize) -> Result<Vec<InboxEntry>, Error> {
    connected.all(INBOX_LIST, (micros(ready_at), limit as i64), row::wish)
}

pub(super) fn of_entity(connected: &mut Connected, entity: &EntityKey) -> Result<Vec<InboxEntry>, Error> {
    connected.all(INBOX_OF_ENTITY, [entity.to_string()], row::wish)
}
