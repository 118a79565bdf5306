//! Hence as a library: write down what will happen to an entity, and when; make it happen; say why.
//!
//! [`Client`] tells and asks: definitions, enrolments, events, what is upcoming, what happened. [`Engine`] makes it happen: it owns
//! shards, starts what is due, delivers and writes down what came of it. Both work on any [`Store`] and share its clock, which may
//! be virtual. Leaves to others: deciding (`hence-core`), storing (`hence-store`), carrying (`hence-dispatch`).

pub mod clock;
pub mod error;

mod host;

mod facts;
mod settle;
mod under_way;

mod client;

mod audit;

mod scheduler;

pub mod ownership;

mod jump;
mod keeper;
mod watchdog;

mod engine;

#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation;

pub use audit::{AuditMode, AuditReport, Finding, FindingKind, Healing};
pub use client::{CancelAnswer, Client, Enrolment, TOLD_BYTES_MAX, Telling, Told};
pub use engine::{Engine, EngineOptions, Summary};
pub use error::{Error, ErrorKind};
pub use facts::{FactReader, FactReaders, Row, SqliteReader};
pub use hence_core as core;
pub use hence_dispatch as dispatch;
pub use hence_store as store;
pub use hence_store::Store;
pub use keeper::Readiness;
pub use ownership::Timing;
