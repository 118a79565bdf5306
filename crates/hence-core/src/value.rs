//! Values, their declared types, and the facts of an entity.
//!
//! Owns what a fact, an event field or the result of an expression can be ([`Value`]), how a definition names a type
//! (`"time?"`, [`FieldType`]) and how JSON becomes a value of that type ([`FieldType::accept`]). Leaves reading and
//! storing facts to the crates that do I/O, and operators to [`crate::expression`].
//!
//! Invariants: an accepted value has its declared type, holds no U+0000 (PostgreSQL cannot store it) and is within the
//! limits named here. Messages speak of kinds ("a string"), never of contents: facts may be secret.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

mod facts;

pub use facts::{FactError, FactProblem, FactTypes, Facts};

/// Longest text of one fact, in bytes; longer ones are refused. 64 KiB: a payload belongs elsewhere.
pub const FACT_TEXT_BYTES_MAX: usize = 64 * 1024;
/// Deepest nesting of lists and maps inside one fact; a plain value has depth 1.
pub const FACT_DEPTH_MAX: usize = 32;
/// Most elements inside one fact, those of nested lists and maps included.
pub const FACT_ELEMENTS_MAX: usize = 1000;

/// What a fact, a field of an event or the result of an expression can be.
///
/// ```
/// use hence_core::value::Value;
/// assert_eq!(Value::from_json(&serde_json::json!(3)), Value::Int(3));
/// assert_eq!(Value::from_json(&serde_json::json!(3.0)), Value::Float(3.0));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// Nothing is known, or it was said that there is nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    String(String),
    /// An instant, to the nanosecond.
    Time(Timestamp),
    /// A span of exact time, without calendar units.
    Duration(SignedDuration),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name.
    Map(BTreeMap<String, Value>),
}

/// The name of a type in a definition, without the `?`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TypeName {
    /// `bool`
    Bool,
    /// `int`: 64 bits, signed.
    Int,
    /// `float`: 64 bits, IEEE 754.
    Float,
    /// `string`
    String,
    /// `time`: an instant; in JSON an RFC 3339 string.
    Time,
    /// `duration`: exact time such as `48h`; in JSON a string.
    Duration,
    /// `list` of values of any type.
    List,
    /// `map` from text to values of any type.
    Map,
    /// `any`: whatever JSON can hold; checked only when it is used.
    Any,
}

/// The declared type of a field: `"string"`, or `"time?"` where it may be null.
///
/// ```
/// use hence_core::value::FieldType;
/// let declared: FieldType = "time?".parse()?;
/// assert!(declared.nullable);
/// assert_eq!(declared.to_string(), "time?");
/// # Ok::<(), hence_core::value::TypeNameError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldType {
    /// What it is when it is not null.
    pub base: TypeName,
    /// Whether it may be null, or not given at all.
    pub nullable: bool,
}

/// A type name that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("type `{name}` is not known; types are {}, each with `?` if it may be null", TypeName::LIST)]
pub struct TypeNameError {
    /// What was written.
    pub name: String,
}

/// Why a JSON value is not of the declared type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It is of another type.
    #[error("expected {expected}, found {found}")]
    Mismatch {
        /// The declared type, with its article.
        expected: &'static str,
        /// What came, by kind and never by content.
        found: &'static str,
    },
    /// It is null, and the type has no `?`.
    #[error("expected {expected}, found null")]
    Null {
        /// The declared type, with its article.
        expected: &'static str,
    },
    /// It is text that does not read as the declared type.
    #[error("expected {expected}, found text that is not one: {hint}")]
    Unreadable {
        /// The declared type, with its article.
        expected: &'static str,
        /// How to write it.
        hint: &'static str,
    },
    /// It is a number outside the range of the type.
    #[error("expected {expected}, found a number out of its range")]
    Range {
        /// The declared type, with its article.
        expected: &'static str,
    },
    /// Its text is longer than [`FACT_TEXT_BYTES_MAX`].
    #[error("text of {bytes} bytes is longer than {FACT_TEXT_BYTES_MAX}")]
    TextTooLong {
        /// The length that was refused.
        bytes: usize,
    },
    /// It nests deeper than [`FACT_DEPTH_MAX`].
    #[error("lists and maps nest deeper than {FACT_DEPTH_MAX}")]
    TooDeep,
    /// It has more elements than [`FACT_ELEMENTS_MAX`].
    #[error("lists and maps hold more than {FACT_ELEMENTS_MAX} elements")]
    TooManyElements,
}

impl TypeName {
    /// All types, in the order they are listed to people.
    pub const ALL: [TypeName; 9] = [
        TypeName::String,
        TypeName::Int,
        TypeName::Float,
        TypeName::Bool,
        TypeName::Time,
        TypeName::Duration,
        TypeName::List,
        TypeName::Map,
        TypeName::Any,
    ];
    const LIST: &'static str = "`string`, `int`, `float`, `bool`, `time`, `duration`, `list`, `map`, `any`";

    /// The name as written in a definition.
    pub fn name(self) -> &'static str {
        match self {
            TypeName::Bool => "bool",
            TypeName::Int => "int",
            TypeName::Float => "float",
            TypeName::String => "string",
            TypeName::Time => "time",
            TypeName::Duration => "duration",
            TypeName::List => "list",
            TypeName::Map => "map",
            TypeName::Any => "any",
        }
    }

    /// The name with its article, for sentences: "a string", "an int".
    pub fn with_article(self) -> &'static str {
        match self {
            TypeName::Bool => "a bool",
            TypeName::Int => "an int",
            TypeName::Float => "a float",
            TypeName::String => "a string",
            TypeName::Time => "a time",
            TypeName::Duration => "a duration",
            TypeName::List => "a list",
            TypeName::Map => "a map",
            TypeName::Any => "any value",
        }
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FieldType {
    /// A type that is never null.
    pub const fn required(base: TypeName) -> FieldType {
        FieldType { base, nullable: false }
    }

    /// A type that may be null.
    pub const fn nullable(base: TypeName) -> FieldType {
        FieldType { base, nullable: true }
    }

    /// Reads `"time?"`.
    ///
    /// # Errors
    /// [`TypeNameError`] when no such type exists; its text lists those that do.
    pub fn parse(text: &str) -> Result<FieldType, TypeNameError> {
        let trimmed = text.trim();
        let (name, nullable) = match trimmed.strip_suffix('?') {
            Some(name) => (name, true),
            None => (trimmed, false),
        };
        TypeName::ALL
            .into_iter()
            .find(|base| base.name() == name)
            .map(|base| FieldType { base, nullable })
            .ok_or_else(|| TypeNameError { name: text.to_owned() })
    }

    /// Reads a JSON value as this type, within the limits of a fact; U+0000 in text becomes U+FFFD.
    ///
    /// A time is a string with an offset or zone (`2026-03-02T10:00:00Z`, `2026-03-02 10:00:00+01`,
    /// `2026-03-02T10:00[Europe/Oslo]`), a duration a string such as `48h` or `PT48H`; an int may be written `3.0`,
    /// a float `3`.
    ///
    /// ```
    /// use hence_core::value::{FieldType, TypeName, Value};
    /// let time = FieldType::required(TypeName::Time);
    /// assert!(matches!(time.accept(&"2026-03-02 10:00:00Z".into()), Ok(Value::Time(_))));
    /// assert_eq!(time.accept(&3.into()).unwrap_err().to_string(), "expected a time, found a number");
    /// ```
    /// # Errors
    /// [`ValueError`] says what was expected and what was found.
    pub fn accept(self, json: &serde_json::Value) -> Result<Value, ValueError> {
        use serde_json::Value as Json;
        let expected = self.base.with_article();
        match (self.base, json) {
            (_, Json::Null) if self.nullable => Ok(Value::Null),
            (_, Json::Null) => Err(ValueError::Null { expected }),
            (TypeName::Bool, Json::Bool(value)) => Ok(Value::Bool(*value)),
            (TypeName::Int, Json::Number(number)) => accept_int(number),
            (TypeName::Float, Json::Number(number)) => number.as_f64().map(Value::Float).ok_or(ValueError::Range { expected }),
            (TypeName::String, Json::String(text)) => accept_text(text).map(Value::String),
            (TypeName::Time, Json::String(text)) => parse_time(text)
                .map(Value::Time)
                .ok_or(ValueError::Unreadable { expected, hint: "write it as `2026-03-02T10:00:00Z`, with an offset or zone" }),
            (TypeName::Duration, Json::String(text)) => parse_duration(text).map(Value::Duration).ok_or(ValueError::Unreadable {
                expected,
                hint: "write it as `48h`, `90 minutes` or `PT48H`; days have no fixed length here",
            }),
            (TypeName::List, Json::Array(_)) | (TypeName::Map, Json::Object(_)) | (TypeName::Any, _) => {
                let mut elements_left = FACT_ELEMENTS_MAX;
                accept_any(json, FACT_DEPTH_MAX, &mut elements_left)
            }
            (_, found) => Err(ValueError::Mismatch { expected, found: json_kind(found) }),
        }
    }

    /// Reads a value that a database gave, which may know neither truth nor instants: the numbers 0 and 1 are a `bool`, and a date and
    /// time without an offset, as `2026-03-02 10:00:00`, is a `time` in UTC. All else as [`FieldType::accept`].
    /// # Errors
    /// As [`FieldType::accept`].
    pub fn accept_sql(self, json: &serde_json::Value) -> Result<Value, ValueError> {
        use serde_json::Value as Json;
        match (self.base, json) {
            (TypeName::Bool, Json::Number(number)) if matches!(number.as_i64(), Some(0 | 1)) => {
                Ok(Value::Bool(number.as_i64() == Some(1)))
            }
            (TypeName::Time, Json::String(text)) if parse_time(text).is_none() => match text.trim().parse::<DateTime>() {
                Ok(local) => TimeZone::UTC
                    .to_timestamp(local)
                    .map(Value::Time)
                    .map_err(|_| ValueError::Range { expected: self.base.with_article() }),
                Err(_) => self.accept(json),
            },
            _ => self.accept(json),
        }
    }

    /// Whether a value is of this type.
    pub fn holds(self, value: &Value) -> bool {
        match value.type_name() {
            None => self.nullable,
            Some(name) => self.base == TypeName::Any || self.base == name,
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.base, if self.nullable { "?" } else { "" })
    }
}

impl FromStr for FieldType {
    type Err = TypeNameError;

    fn from_str(text: &str) -> Result<FieldType, TypeNameError> {
        FieldType::parse(text)
    }
}

impl Value {
    /// The value a JSON value stands for when no type is declared: `3` is an int, `3.0` a float, text stays text.
    ///
    /// An integer beyond 64 bits becomes a float, U+0000 in text becomes U+FFFD. No limits are checked here: what comes
    /// from outside goes through [`FieldType::accept`].
    pub fn from_json(json: &serde_json::Value) -> Value {
        use serde_json::Value as Json;
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => number_value(number),
            Json::String(text) => Value::String(without_nul(text)),
            Json::Array(items) => Value::List(items.iter().map(Value::from_json).collect()),
            Json::Object(map) => Value::Map(map.iter().map(|(key, item)| (without_nul(key), Value::from_json(item))).collect()),
        }
    }

    /// The JSON form: a time as RFC 3339 in UTC, a duration as ISO 8601, a float that is no number as null.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(value) => Json::from(*value),
            Value::Float(value) => Json::from(*value),
            Value::String(text) => Json::String(text.clone()),
            Value::Time(time) => Json::String(time.to_string()),
            Value::Duration(duration) => Json::String(duration.to_string()),
            Value::List(items) => Json::Array(items.iter().map(Value::to_json).collect()),
            Value::Map(map) => Json::Object(map.iter().map(|(key, item)| (key.clone(), item.to_json())).collect()),
        }
    }

    /// The type of the value; `None` for null, which belongs to every type with `?`.
    pub fn type_name(&self) -> Option<TypeName> {
        match self {
            Value::Null => None,
            Value::Bool(_) => Some(TypeName::Bool),
            Value::Int(_) => Some(TypeName::Int),
            Value::Float(_) => Some(TypeName::Float),
            Value::String(_) => Some(TypeName::String),
            Value::Time(_) => Some(TypeName::Time),
            Value::Duration(_) => Some(TypeName::Duration),
            Value::List(_) => Some(TypeName::List),
            Value::Map(_) => Some(TypeName::Map),
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

/// Shows a value as it would be written in an expression; times and durations bare.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Time(time) => write!(f, "{time}"),
            Value::Duration(duration) => write!(f, "{duration:#}"),
            Value::Float(value) if !value.is_finite() => write!(f, "{value}"),
            other => write!(f, "{}", other.to_json()),
        }
    }
}

/// Reads an instant: RFC 3339, a blank for the `T`, or a local time with a zone in brackets.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse::<Timestamp>().ok().or_else(|| text.parse::<ZonedDateTime>().ok().map(|zoned| zoned.timestamp()))
}

/// Reads exact time: `48h`, `1h30m`, `90 minutes`, `PT48H`; not days, which have no fixed length.
pub fn parse_duration(text: &str) -> Option<SignedDuration> {
    text.trim().parse().ok()
}

fn accept_int(number: &serde_json::Number) -> Result<Value, ValueError> {
    let expected = TypeName::Int.with_article();
    if let Some(value) = number.as_i64() {
        return Ok(Value::Int(value));
    }
    match number.as_f64() {
        // Both bounds are exact in f64: -2^63, and 2^63 which is the first value too large.
        Some(value) if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) => {
            if value.fract() == 0.0 {
                Ok(Value::Int(value as i64))
            } else {
                Err(ValueError::Mismatch { expected, found: "a number with a fraction" })
            }
        }
        _ => Err(ValueError::Range { expected }),
    }
}

fn accept_text(text: &str) -> Result<String, ValueError> {
    if text.len() > FACT_TEXT_BYTES_MAX {
        return Err(ValueError::TextTooLong { bytes: text.len() });
    }
    Ok(without_nul(text))
}

fn accept_any(json: &serde_json::Value, depth_left: usize, elements_left: &mut usize) -> Result<Value, ValueError> {
    use serde_json::Value as Json;
    let Some(depth_left) = depth_left.checked_sub(1) else { return Err(ValueError::TooDeep) };
    let mut take = |count: usize| match elements_left.checked_sub(count) {
        Some(left) => {
            *elements_left = left;
            Ok(())
        }
        None => Err(ValueError::TooManyElements),
    };
    match json {
        Json::String(text) => accept_text(text).map(Value::String),
        Json::Array(items) => {
            take(items.len())?;
            let items = items.iter().map(|item| accept_any(item, depth_left, elements_left));
            Ok(Value::List(items.collect::<Result<_, _>>()?))
        }
        Json::Object(map) => {
            take(map.len())?;
            let entries = map.iter().map(|(key, item)| {
                let key = accept_text(key)?;
                Ok((key, accept_any(item, depth_left, elements_left)?))
            });
            Ok(Value::Map(entries.collect::<Result<_, _>>()?))
        }
        plain => Ok(Value::from_json(plain)),
    }
}

fn number_value(number: &serde_json::Number) -> Value {
    match number.as_i64() {
        Some(value) => Value::Int(value),
        None => number.as_f64().map_or(Value::Null, Value::Float),
    }
}

fn without_nul(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text.to_owned() }
}

fn json_kind(json: &serde_json::Value) -> &'static str {
    use serde_json::Value as Json;
    match json {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "a map",
    }
}
