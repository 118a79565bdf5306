//! Where tasks, timelines, wishes and history are kept: the port [`Store`] and the stores behind it.
//!
//! Time is an argument of every call that needs it; nothing here reads a clock. Leaves to others: deciding what is written (`hence-core`)
//! and when (`hence`). Read the modules in this order.

pub mod error;
pub mod facts;
pub mod port;

mod changes;
mod codes;
mod erasure;
mod format;
mod ids;
mod limits;
mod mode;
mod tallies;

pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod sqlite;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use error::{Error, ErrorKind};
pub use memory::MemoryStore;
pub use mode::OpenMode;
pub use port::Store;
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;
