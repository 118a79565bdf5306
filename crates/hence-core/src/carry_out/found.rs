//! What became of a wish that somebody else carried out: read from what the entity's history says.
//!
//! Who tells something and finds it gone from the inbox asks this. A record is of the wish if it tells the same at the same instant; an
//! enrolment that was ignored leaves no record, and so does a task that was scheduled.

use jiff::Timestamp;

use super::WishResult;
use crate::history::{Record, RecordKind};
use crate::reason::Reason;
use crate::timeline::EntitySnapshot;
use crate::wish::{StoredWish, Wish};

/// The codes with which a wish is refused.
const CODES: [&str; 8] = ["HNC-0301", "HNC-0302", "HNC-0303", "HNC-0304", "HNC-0305", "HNC-0306", "HNC-0308", "HNC-0310"];

/// What a wish came to that is no longer in the inbox.
pub fn found(snapshot: &EntitySnapshot, stored: &StoredWish) -> WishResult {
    let at = to_the_microsecond(stored.at);
    let records = || snapshot.records.iter().rev().filter(move |record| to_the_microsecond(record.at) == at);
    if records().any(|record| is_told_by(record, snapshot, stored)) {
        let is_enrolment = matches!(stored.wish, Wish::Enrol { .. });
        return if is_enrolment { WishResult::Enrolled } else { WishResult::Told };
    }
    let refused = records().find_map(|record| match &record.reason {
        Reason::Refused { code, problem } if record.kind == RecordKind::Refused => Some((code, problem)),
        _ => None,
    });
    if let Some((code, problem)) = refused {
        let code = CODES.into_iter().find(|known| known == code).unwrap_or("HNC-0306");
        return WishResult::Refused { code, problem: problem.clone() };
    }
    match &stored.wish {
        Wish::Enrol { .. } => WishResult::AlreadyEnrolled,
        _ => WishResult::Told,
    }
}

fn is_told_by(record: &Record, snapshot: &EntitySnapshot, stored: &StoredWish) -> bool {
    match (&stored.wish, &record.reason) {
        (Wish::Enrol { timeline, .. }, Reason::Enrolled { actor, .. }) => {
            let name = record.timeline.and_then(|id| snapshot.timeline(id)).map(|timeline| &timeline.name);
            actor == &stored.actor && name == Some(timeline)
        }
        (Wish::Event { name, data, .. }, Reason::Event { name: told, actor, data: carried, .. }) => {
            record.kind == RecordKind::Event && told == name.as_str() && actor == &stored.actor && carried == data
        }
        (Wish::PutFacts { facts, .. }, Reason::Facts { facts: told, actor }) => told == facts && actor == &stored.actor,
        _ => false,
    }
}

/// Stores keep whole microseconds.
fn to_the_microsecond(at: Timestamp) -> i64 {
    at.as_microsecond()
}
