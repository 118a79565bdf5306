//! The seam of the simulator: a client, and so an engine, on a host that is none. No promise to anybody else.

use std::sync::Arc;

use hence_core::library::Library;
use hence_store::Store;

use crate::client::Client;
use crate::error::Error;
use crate::facts::FactReaders;
pub use crate::host::{Host, Spawned, Work};

/// As [`Client::open`], on that host. Definitions that `loaded` has are not read again: of a short run that is the most of the time.
/// # Errors
/// As [`Client::open`].
pub async fn open(
    host: Arc<dyn Host>,
    store: Arc<dyn Store>,
    readers: FactReaders,
    (actor, loaded): (&str, Arc<Library>),
) -> Result<Client, Error> {
    Client::open_on(host, store, readers, (actor, loaded)).await
}
