//! The stored form of a wish: JSON, tagged by `wish`; fields are only ever added.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Wish;
use crate::name::NameError;

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
    })
}
