//! The inbox: wishes from acceptance until they are carried out, and the idempotency keys they came with.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hence_core::name::{EntityKey, WishId};
use hence_core::wish::write_wish;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::connection::Connected;
use super::entity;
use super::failure::Stop;
use super::row::{self, column};
use super::statement::{INBOX_EXPIRE_KEYS, INBOX_FIND_KEY, INBOX_INSERT, INBOX_LIST, INBOX_OF_ENTITY, INBOX_PUT_KEY};
use crate::error::{Error, ErrorKind};
use crate::format::{corrupt, micros};
use crate::limits::KEY_KEPT;
use crate::port::{Acceptance, InboxEntry, NewWish};

/// What one wish of a batch becomes, once it is known.
enum Place {
    /// It is put, as the n-th of those that are.
    New(usize),
    /// It is answered by what was known.
    Known(Acceptance),
}

/// Wishes that are put, in columns.
#[derive(Default)]
struct New {
    entities: Vec<i64>,
    at: Vec<i64>,
    actors: Vec<String>,
    bodies: Vec<String>,
    keys: Vec<(String, usize, Vec<u8>)>,
}

pub(super) async fn accept(
    connected: &Connected,
    shards: u16,
    wishes: &[NewWish],
    now: Timestamp,
) -> Result<Vec<Acceptance>, Stop> {
    if wishes.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<String> = wishes.iter().filter_map(|wish| wish.key.as_deref().map(row::escape)).collect();
    let mut known: HashMap<String, (WishId, Vec<u8>)> = HashMap::new();
    if !keys.is_empty() {
        let kept_since = now.saturating_sub(KEY_KEPT).unwrap_or(Timestamp::MIN);
        connected.run(&INBOX_EXPIRE_KEYS, &[&micros(kept_since)]).await?;
        for row in connected.rows(&INBOX_FIND_KEY, &[&keys]).await? {
            known.insert(column(&row, 0)?, (WishId(column(&row, 1)?), column(&row, 2)?));
        }
    }
    let told: BTreeSet<&EntityKey> = wishes.iter().map(|wish| wish.wish.entity()).collect();
    let (new, places, about) = sort(wishes, &known);
    let keys: Vec<&EntityKey> = told.into_iter().filter(|key| about.contains(*key)).collect();
    let entities = entity::find_or_insert(connected, shards, &keys, now).await?;
    put(connected, wishes, (new, places), &entities, now).await
}

/// What is to be put, what each wish becomes, and the entities of those that are put.
fn sort<'w>(wishes: &'w [NewWish], known: &HashMap<String, (WishId, Vec<u8>)>) -> (New, Vec<Place>, BTreeSet<&'w EntityKey>) {
    let mut new = New::default();
    let mut about = BTreeSet::new();
    // Keys that were new earlier in this batch, with the place of their wish and its hash.
    let mut fresh: HashMap<&str, (usize, Vec<u8>)> = HashMap::new();
    let mut places = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let body = write_wish(&wish.wish);
        if let Some(key) = &wish.key {
            let hash = Sha256::digest(body.as_bytes()).to_vec();
            let escaped = row::escape(key);
            if let Some((id, before)) = known.get(&escaped) {
                places.push(Place::Known(answer(*id, *before == hash)));
                continue;
            }
            if let Some((place, before)) = fresh.get(key.as_str()) {
                // Its number is not known yet; it stands in the answer until it is.
                places.push(Place::Known(answer(WishId(-1 - *place as i64), *before == hash)));
                continue;
            }
            fresh.insert(key, (new.bodies.len(), hash.clone()));
            new.keys.push((escaped, new.bodies.len(), hash));
        }
        places.push(Place::New(new.bodies.len()));
        about.insert(wish.wish.entity());
        new.at.push(micros(wish.at));
        new.actors.push(row::escape(&wish.actor));
        new.bodies.push(body);
    }
    (new, places, about)
}

fn answer(id: WishId, is_same: bool) -> Acceptance {
    if is_same { Acceptance::Accepted { id, is_duplicate: true } } else { Acceptance::KeyConflict { id } }
}

async fn put(
    connected: &Connected,
    wishes: &[NewWish],
    (mut new, places): (New, Vec<Place>),
    entities: &BTreeMap<String, i64>,
    now: Timestamp,
) -> Result<Vec<Acceptance>, Stop> {
    for (wish, place) in wishes.iter().zip(&places) {
        if let Place::New(_) = place {
            let id = entities.get(&wish.wish.entity().to_string()).copied();
            new.entities.push(id.ok_or_else(|| corrupt("an entity was forgotten while it was told of"))?);
        }
    }
    let New { entities, at, actors, bodies, keys } = new;
    let mut ids: Vec<WishId> = Vec::with_capacity(bodies.len());
    if !bodies.is_empty() {
        for row in connected.rows(&INBOX_INSERT, &[&entities, &at, &actors, &bodies]).await? {
            ids.push(WishId(column(&row, 0)?));
        }
        assert!(ids.len() == bodies.len(), "every wish that is put gets a number");
    }
    if !keys.is_empty() {
        let texts: Vec<&str> = keys.iter().map(|(key, ..)| key.as_str()).collect();
        let of: Vec<i64> = keys.iter().map(|(_, place, _)| ids[*place].0).collect();
        let whose: Vec<i64> = keys.iter().map(|(_, place, _)| entities[*place]).collect();
        let hashes: Vec<&[u8]> = keys.iter().map(|(_, _, hash)| hash.as_slice()).collect();
        let kept = connected.rows(&INBOX_PUT_KEY, &[&texts, &of, &whose, &hashes, &micros(now)]).await?;
        if kept.len() < keys.len() {
            // Somebody else put one of the keys meanwhile: run again, it is known then.
            return Err(Stop::Again(Error::new(ErrorKind::Busy, "an idempotency key was put by somebody else at the same time")));
        }
    }
    let real = |id: WishId| if id.0 < 0 { ids[usize::try_from(-1 - id.0).unwrap_or_default()] } else { id };
    let answers = places.into_iter().map(|place| match place {
        Place::New(place) => Acceptance::Accepted { id: ids[place], is_duplicate: false },
        Place::Known(Acceptance::Accepted { id, is_duplicate }) => Acceptance::Accepted { id: real(id), is_duplicate },
        Place::Known(Acceptance::KeyConflict { id }) => Acceptance::KeyConflict { id: real(id) },
    });
    Ok(answers.collect())
}

pub(super) async fn list(
    connected: &Connected,
    shards: Option<Vec<i16>>,
    ready_at: Timestamp,
    limit: usize,
) -> Result<Vec<InboxEntry>, Stop> {
    let rows = connected.rows(&INBOX_LIST, &[&(limit as i64), &shards, &micros(ready_at)]).await?;
    Ok(rows.iter().map(row::wish).collect::<Result<_, Error>>()?)
}

pub(super) async fn of_entity(connected: &Connected, entity: &EntityKey) -> Result<Vec<InboxEntry>, Stop> {
    let rows = connected.rows(&INBOX_OF_ENTITY, &[&entity.to_string()]).await?;
    Ok(rows.iter().map(row::wish).collect::<Result<_, Error>>()?)
}
