//! The names and numbers that identify things, as types that cannot be mixed up or be wrong.
//!
//! Everything here is parsed once, at the edge. Leaves to others: what the named things are.

use std::fmt;
use std::str::FromStr;

/// The longest entity id in bytes (GUARANTEES S8: keys are bounded so that an index entry is).
pub const ENTITY_ID_BYTES_MAX: usize = 255;
/// The longest name of a step, timeline, fact group, field, let, target or entity type, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// The longest event name in bytes.
pub const EVENT_NAME_BYTES_MAX: usize = 128;

/// Why a name or an id was refused; says what and where within the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{text}` {problem}")]
pub struct NameError {
    what: &'static str,
    text: String,
    problem: String,
}

impl NameError {
    fn new(what: &'static str, text: &str, problem: impl Into<String>) -> Self {
        let text: String = text.chars().take(80).filter(|c| !c.is_control()).collect();
        Self { what, text, problem: problem.into() }
    }
}

/// A text that is parsed where such a name is wanted.
macro_rules! parsed_from_text {
    ($($name:ident)*) => {$(
        impl TryFrom<&str> for $name {
            type Error = NameError;
            fn try_from(text: &str) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
    )*};
}

parsed_from_text! { Name EntityKey EventName }

/// A name in a definition: a lower-case letter, then lower-case letters, digits and `_`; 1..=64 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// The text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = |problem: &str| NameError::new("name", text, problem);
        if text.is_empty() {
            return Err(error("is empty"));
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(error(&format!("is longer than {NAME_BYTES_MAX} bytes")));
        }
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(error("must begin with a lower-case letter"));
        }
        if !text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            return Err(error("may hold only lower-case letters, digits and `_`"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What time happens to: a type and an id, written `account/42`.
///
/// The type is a [`Name`]; the id is 1..=255 bytes of any text without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityKey {
    kind: Name,
    id: String,
}

impl EntityKey {
    /// The entity `id` of type `kind`.
    /// # Errors
    /// The id is empty, too long or holds control characters.
    pub fn new(kind: Name, id: &str) -> Result<Self, NameError> {
        let error = |problem: &str| NameError::new("entity id", id, problem);
        if id.is_empty() {
            return Err(error("is empty"));
        }
        if id.len() > ENTITY_ID_BYTES_MAX {
            return Err(error(&format!("is longer than {ENTITY_ID_BYTES_MAX} bytes")));
        }
        if id.chars().any(char::is_control) {
            return Err(error("holds a control character"));
        }
        Ok(Self { kind, id: id.to_owned() })
    }

    /// The type, such as `account`.
    pub fn kind(&self) -> &Name {
        &self.kind
    }

    /// The id within the type, such as `42`.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl FromStr for EntityKey {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let Some((kind, id)) = text.split_once('/') else {
            return Err(NameError::new("entity", text, "must be written `type/id`, such as `account/42`"));
        };
        Self::new(kind.parse()?, id)
    }
}

impl fmt::Display for EntityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

/// The name of something that happened, such as `account.paid`: names joined by dots; 1..=128 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventName(String);

impl EventName {
    /// The text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > EVENT_NAME_BYTES_MAX {
            return Err(NameError::new("event", text, format!("is longer than {EVENT_NAME_BYTES_MAX} bytes")));
        }
        for part in text.split('.') {
            part.parse::<Name>()
                .map_err(|_| NameError::new("event", text, "must be lower-case words joined by dots, such as `account.paid`"))?;
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                text.strip_prefix($prefix)
                    .and_then(|digits| digits.parse::<i64>().ok())
                    .filter(|number| *number > 0)
                    .map(Self)
                    .ok_or_else(|| NameError::new("id", text, concat!("must look like `", $prefix, "42`")))
            }
        }
    };
}

number!(
    /// One task, unique in a store, given by the store in rising order; shown as `task_42`.
    TaskId, "task_");
number!(
    /// One run of one definition for one entity, unique in a store; shown as `timeline_42`.
    TimelineId, "timeline_");
number!(
    /// One accepted wish in the inbox, in order of acceptance; shown as `wish_42`.
    WishId, "wish_");
number!(
    /// A number from one rising sequence of the store: taken by each lease and each start, it outdates all older owners.
    Fence, "fence_");

/// The content address of a definition: SHA-256 of its normalised form, as 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DefinitionHash(pub String);

impl DefinitionHash {
    /// The first 8 digits, enough for people.
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl fmt::Display for DefinitionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr<Err = NameError> + fmt::Display>(text: &str, expected: &str) {
        let found = match text.parse::<T>() {
            Ok(name) => name.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn names_say_what_is_wrong_with_them() {
        check::<Name>("remind", "remind");
        check::<Name>("", "name `` is empty");
        check::<Name>("Remind", "name `Remind` must begin with a lower-case letter");
        check::<Name>("re-mind", "name `re-mind` may hold only lower-case letters, digits and `_`");
        check::<EntityKey>("account/42", "account/42");
        check::<EntityKey>("account/a/b c", "account/a/b c");
        check::<EntityKey>("account", "entity `account` must be written `type/id`, such as `account/42`");
        check::<EntityKey>("account/", "entity id `` is empty");
        check::<EventName>("account.paid", "account.paid");
        check::<EventName>(
            "account..paid",
            "event `account..paid` must be lower-case words joined by dots, such as `account.paid`",
        );
        check::<TaskId>("task_7", "task_7");
        check::<TaskId>("7", "id `7` must look like `task_42`");
    }
}
