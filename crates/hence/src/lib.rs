//! Hence as a library: write down what will happen to an entity, and when; make it happen; say why.
//!
//! [`Hence::builder`] puts a store, definitions and handlers together and begins an engine beside the program. A [`Client`] tells and asks:
//! definitions, enrolments, events, what is upcoming, what happened and why. An [`Engine`] makes it happen: it owns shards, starts what is
//! due, delivers and writes down what came of it. Both work on any [`Store`] and share its clock, which may be virtual; [`testing`] has
//! that for tests of your own. Leaves to others: deciding (`hence-core`), storing (`hence-store`), carrying (`hence-dispatch`).
//!
//! ```
//! use hence::Hence;
//! use hence::dispatch::{HandlerContext, HandlerReply};
//! use serde_json::{Value, json};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), hence::Error> {
//! let hence = Hence::builder()
//!     .definition(
//!         r#"
//!         [timeline]
//!         name = "trial"
//!         entity = "account"
//!         anchor = "created_at"
//!         [step.expire]
//!         due = "30 days"
//!         do = { handler = "expire" }
//!         [on."account.paid"]
//!         cancel = "*"
//!         "#,
//!     )
//!     .handler("expire", |context: HandlerContext, _: Value| async move {
//!         println!("{} is switched off", context.attempt.entity_id);
//!         Ok(HandlerReply::done())
//!     })
//!     .start()
//!     .await?;
//! hence.enrol("trial", "account/42", Value::Null).await?;
//! assert_eq!(hence.upcoming("account/42").await?.len(), 1);
//! hence.event("account/42", "account.paid", json!({ "plan": "small" })).await?;
//! assert_eq!(hence.upcoming("account/42").await?.len(), 0);
//! println!("{}", hence.why("account/42").await?[0]);
//! hence.stop().await?;
//! # Ok(())
//! # }
//! ```

#![deny(missing_docs)]

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

mod builder;

pub mod testing;

#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation;

pub use audit::{AuditMode, AuditReport, Finding, FindingKind, Healing};
pub use builder::{Builder, Hence};
pub use client::{Because, CancelAnswer, Client, Enrolment, TOLD_BYTES_MAX, Telling, Told};
pub use engine::{Engine, EngineOptions, Summary};
pub use error::{Error, ErrorKind};
#[cfg(feature = "postgres")]
pub use facts::PostgresReader;
pub use facts::{FactReader, FactReaders, Row, SqliteReader};
pub use hence_core as core;
pub use hence_dispatch as dispatch;
pub use hence_store as store;
pub use hence_store::Store;
pub use hence_store::port::Statement;
pub use jiff;
pub use keeper::Readiness;
pub use ownership::Timing;
pub use serde_json;
