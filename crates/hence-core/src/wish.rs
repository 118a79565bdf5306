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
    /// No attempt of a step's tasks starts any more.
    Cancel {
        /// Whose.
        entity: EntityKey,
        /// Of which timeline; `None` for an ad-hoc task.
        timeline: Option<Name>,
        /// The step, or the key of an ad-hoc task.
        step: Name,
        /// Why, for people.
        text: String,
    },
    /// A step's waiting tasks get another instant.
    Reschedule {
        /// Whose.
        entity: EntityKey,
        /// Of which timeline; `None` for an ad-hoc task.
        timeline: Option<Name>,
        /// The step, or the key of an ad-hoc task.
        step: Name,
        /// When.
        due_at: Timestamp,
        /// Why, for people.
        text: String,
    },
    /// Everything personal of the entity goes, and nothing is sent for it any more. What was told before is erased with it; what is told
    /// afterwards counts.
    Erase {
        /// Whose.
        entity: EntityKey,
    },
}

impl Wish {
    /// Whom it is about.
    pub fn entity(&self) -> &EntityKey {
        match self {
            Wish::Enrol { entity, .. }
            | Wish::Event { entity, .. }
            | Wish::PutFacts { entity, .. }
            | Wish::Schedule { entity, .. }
            | Wish::Cancel { entity, .. }
            | Wish::Reschedule { entity, .. }
            | Wish::Erase { entity } => entity,
        }
    }

    /// Whether it is about stored tasks, so that what was told before it must be carried out first.
    pub fn is_about_tasks(&self) -> bool {
        matches!(self, Wish::Cancel { .. } | Wish::Reschedule { .. })
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
