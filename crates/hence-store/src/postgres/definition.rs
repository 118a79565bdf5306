//! Definitions: kept by hash; the one of a name that was put last is the current one.

use super::connection::Connected;
use super::failure::Stop;
use super::identity::take_numbers;
use super::row;
use super::statement::{DEFINITION_AGAIN, DEFINITION_LIST, DEFINITION_PUT};
use crate::error::Error;
use crate::format::micros;
use crate::port::StoredDefinition;

pub(super) async fn put(connected: &Connected, definition: &StoredDefinition) -> Result<bool, Stop> {
    // Taking the number holds the sequence, so that of two who put the same one the second finds it.
    let put_seq = take_numbers(connected, "definition", 1).await?;
    if connected.run(&DEFINITION_AGAIN, &[&definition.hash.0, &put_seq]).await? > 0 {
        return Ok(false);
    }
    let (source, created_at) = (row::escape(&definition.source), micros(definition.created_at));
    connected.run(&DEFINITION_PUT, &[&definition.hash.0, &definition.name.as_str(), &source, &created_at, &put_seq]).await?;
    Ok(true)
}

pub(super) async fn list(connected: &Connected) -> Result<Vec<StoredDefinition>, Stop> {
    let rows = connected.rows(&DEFINITION_LIST, &[]).await?;
    Ok(rows.iter().map(row::definition).collect::<Result<_, Error>>()?)
}
