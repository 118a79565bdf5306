//! Definitions: kept by hash; the one of a name that was put last is the current one.

use super::connection::Connected;
use super::row;
use super::statement::{DEFINITION_AGAIN, DEFINITION_LIST, DEFINITION_PUT};
use crate::error::Error;
use crate::format::micros;
use crate::port::StoredDefinition;

pub(super) fn put(connected: &mut Connected, definition: &StoredDefinition) -> Result<bool, Error> {
    let put_seq = connected.take_numbers("definition", 1)?;
    if connected.run(DEFINITION_AGAIN, (&definition.hash.0, put_seq))? > 0 {
        return Ok(false);
    }
    let created_at = micros(definition.created_at);
    connected.run(DEFINITION_PUT, (&definition.hash.0, definition.name.as_str(), &definition.source, created_at, put_seq))?;
    Ok(true)
}

pub(super) fn list(connected: &mut Connected) -> Result<Vec<StoredDefinition>, Error> {
    connected.all(DEFINITION_LIST, [], row::definition)
}
