//! Wishes: what callers tell Hence, as it stands in the inbox from acceptance until it is carried out.
//!
//! A wish is durable before it is looked at, so accepting one needs no plan, no definition and no engine. Leaves to others: turning
//! wishes into tasks (`plan`), and the inbox itself (the store).

mod format;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use format::{WishFormatError, read_wish, write_wish};

use crate::name::{EntityKey, EventName, Name, WishId};

/// What somebody wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// Begin a timeline.
    Enrol {
        /// The definition's name.
        timeline: Name,
        /// For whom.
        entity: EntityKey,
        /// Instants by name, such as `created_at`.
        given: BTreeMap<Name, Timestamp>,
        /// What is known, by group: a JSON object of objects.
        facts: serde_json::Value,
    },
    /// Something happened.
    Event {
        /// To whom.
        entity: EntityKey,
        /// What.
        name: EventName,
        /// What it carries: a JSON object.
        data: serde_json::Value,
        /// What is known now: a JSON object of objects; fields that are not named keep their values.
        facts: serde_json::Value,
    },
    /// Facts changed.
    PutFacts {
        /// Of whom.
        entity: EntityKey,
        /// What is known now, as in an event.
        facts: serde_json::Value,
    },
    /// One ad-hoc task.
    Schedule {
        /// For whom.
        entity: EntityKey,
        /// Its key, unique among the entity's waiting ad-hoc tasks; scheduling it again moves it.
        key: Name,
        /// When.
        due_at: Timestamp,
        /// What to deliver: the `do` of a step as JSON.
        action: serde_json::Value,
    },
}

impl Wish {
    /// Whom it is about.
    pub fn entity(&self) -> &EntityKey {
        match self {
            Wish::Enrol { entity, .. }
            | Wish::Event { entity, .. }
            | Wish::PutFacts { entity, .. }
            | Wish::Schedule { entity, .. } => entity,
        }
    }
}

/// A wish as it was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredWish {
    /// Its number, in order of acceptance.
    pub id: WishId,
    /// What is wanted.
    pub wish: Wish,
    /// When it happened, by its teller; by the store's clock when the teller did not say.
    pub at: Timestamp,
    /// Who told it, such as `cli:anna` or `app`.
    pub actor: String,
}
