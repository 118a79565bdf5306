//! The stored form of a wish: JSON, tagged by `wish`; fields are only ever added.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Wish;
use crate::name::{Name, NameError};

/// Why a stored wish cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WishFormatError {
    /// It is not the JSON of a wish.
    #[error("the wish is not valid JSON of a known kind")]
    Json(#[source] serde_json::Error),
    /// A name within it is wrong.
    #[error("the wish names something wrongly")]
    Name(#[source] NameError),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "snake_case", deny_unknown_fields)]
enum Document {
    Enrol {
        timeline: String,
        entity: String,
        #[serde(default)]
        given: BTreeMap<String, Timestamp>,
        #[serde(default)]
        facts: serde_json::Value,
    },
    Event {
        entity: String,
        name: String,
        #[serde(default)]
        data: serde_json::Value,
        #[serde(default)]
        facts: serde_json::Value,
    },
    PutFacts {
        entity: String,
        facts: serde_json::Value,
    },
    Schedule {
        entity: String,
        key: String,
        due_at: Timestamp,
        action: serde_json::Value,
    },
    Cancel {
        entity: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeline: Option<String>,
        step: String,
        #[serde(default)]
        text: String,
    },
    Reschedule {
        entity: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeline: Option<String>,
        step: String,
        due_at: Timestamp,
        #[serde(default)]
        text: String,
    },
    Erase {
        entity: String,
    },
}

/// The JSON text of a wish.
pub fn write_wish(wish: &Wish) -> String {
    let document = match wish.clone() {
        Wish::Enrol { timeline, entity, given, facts } => Document::Enrol {
            timeline: timeline.to_string(),
            entity: entity.to_string(),
            given: given.into_iter().map(|(name, at)| (name.to_string(), at)).collect(),
            facts,
        },
        Wish::Event { entity, name, data, facts } => {
            Document::Event { entity: entity.to_string(), name: name.to_string(), data, facts }
        }
        Wish::PutFacts { entity, facts } => Document::PutFacts { entity: entity.to_string(), facts },
        Wish::Schedule { entity, key, due_at, action } => {
            Document::Schedule { entity: entity.to_string(), key: key.to_string(), due_at, action }
        }
        Wish::Cancel { entity, timeline, step, text } => {
            let timeline = timeline.map(|name| name.to_string());
            Document::Cancel { entity: entity.to_string(), timeline, step: step.to_string(), text }
        }
        Wish::Reschedule { entity, timeline, step, due_at, text } => {
            let timeline = timeline.map(|name| name.to_string());
            Document::Reschedule { entity: entity.to_string(), timeline, step: step.to_string(), due_at, text }
        }
        Wish::Erase { entity } => Document::Erase { entity: entity.to_string() },
    };
    serde_json::to_string(&document).expect("a wish is plain JSON with text keys, which always can be written")
}

/// The wish of a JSON text.
/// # Errors
/// [`WishFormatError`]: the text is of another form, or a name in it is wrong.
pub fn read_wish(text: &str) -> Result<Wish, WishFormatError> {
    let document: Document = serde_json::from_str(text).map_err(WishFormatError::Json)?;
    wish_of(document).map_err(WishFormatError::Name)
}

fn wish_of(document: Document) -> Result<Wish, NameError> {
    Ok(match document {
        Document::Enrol { timeline, entity, given, facts } => Wish::Enrol {
            timeline: timeline.parse()?,
            entity: entity.parse()?,
            given: given.into_iter().map(|(name, at)| Ok((name.parse()?, at))).collect::<Result<_, NameError>>()?,
            facts,
        },
        Document::Event { entity, name, data, facts } => {
            Wish::Event { entity: entity.parse()?, name: name.parse()?, data, facts }
        }
        Document::PutFacts { entity, facts } => Wish::PutFacts { entity: entity.parse()?, facts },
        Document::Schedule { entity, key, due_at, action } => {
            Wish::Schedule { entity: entity.parse()?, key: key.parse()?, due_at, action }
        }
        Document::Cancel { entity, timeline, step, text } => {
            Wish::Cancel { entity: entity.parse()?, timeline: name_if_any(timeline)?, step: step.parse()?, text }
        }
        Document::Reschedule { entity, timeline, step, due_at, text } => {
            Wish::Reschedule { entity: entity.parse()?, timeline: name_if_any(timeline)?, step: step.parse()?, due_at, text }
        }
        Document::Erase { entity } => Wish::Erase { entity: entity.parse()? },
    })
}

fn name_if_any(text: Option<String>) -> Result<Option<Name>, NameError> {
    text.map(|text| text.parse()).transpose()
}
