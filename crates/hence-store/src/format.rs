//! Stored forms: JSON texts that are read for years, and instants as microseconds.
//!
//! Owns how reasons, given instants, facts and actions stand in a row. Fields are only ever added.

use std::collections::BTreeMap;

use hence_core::name::Name;
use hence_core::reason::Reason;
use jiff::Timestamp;

use crate::error::{Error, ErrorKind};

/// The instant as microseconds since 1970, cut towards 1970.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The instant of that many microseconds.
pub(crate) fn instant(micros: i64) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(micros).map_err(|error| corrupt("an instant is out of range").caused_by(error))
}

/// The instant as a store keeps it.
pub(crate) fn cut(at: Timestamp) -> Timestamp {
    // Cutting towards 1970 cannot leave the range that the instant itself is in.
    Timestamp::from_microsecond(micros(at)).unwrap_or(at)
}

/// The JSON of a reason.
pub(crate) fn write_reason(reason: &Reason) -> String {
    serde_json::to_string(reason).expect("a reason is plain JSON with text keys, which always can be written")
}

/// The reason of a JSON text.
pub(crate) fn read_reason(text: &str) -> Result<Reason, Error> {
    serde_json::from_str(text).map_err(|error| corrupt("a stored reason cannot be read").caused_by(error))
}

/// The JSON of a value.
pub(crate) fn write_json(value: &serde_json::Value) -> String {
    value.to_string()
}

/// The value of a JSON text.
pub(crate) fn read_json(text: &str) -> Result<serde_json::Value, Error> {
    serde_json::from_str(text).map_err(|error| corrupt("a stored JSON text cannot be read").caused_by(error))
}

/// The JSON of instants by name.
pub(crate) fn write_given(given: &BTreeMap<Name, Timestamp>) -> String {
    let plain: BTreeMap<&str, Timestamp> = given.iter().map(|(name, at)| (name.as_str(), *at)).collect();
    serde_json::to_string(&plain).expect("a map from text to instants always can be written as JSON")
}

/// The instants by name of a JSON text.
pub(crate) fn read_given(text: &str) -> Result<BTreeMap<Name, Timestamp>, Error> {
    let plain: BTreeMap<String, Timestamp> =
        serde_json::from_str(text).map_err(|error| corrupt("stored instants cannot be read").caused_by(error))?;
    plain.into_iter().map(|(name, at)| Ok((read_name(&name)?, at))).collect()
}

/// A name that was checked when it was stored.
pub(crate) fn read_name(text: &str) -> Result<Name, Error> {
    text.parse().map_err(|error| corrupt("a stored name is wrong").caused_by(error))
}

/// Says that something stored cannot be read.
pub(crate) fn corrupt(context: &str) -> Error {
    Error::new(ErrorKind::Corrupt, context)
}
