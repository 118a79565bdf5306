//! All decisions of Hence, and nothing else: definition, expressions, calendars, plan, reconcile, task states, simulation.
//!
//! No I/O, no async, no clock, no randomness, no environment: time and dice are arguments.

pub mod answer;
pub mod calendar;
pub mod carry_out;
pub mod decide;
pub mod definition;
pub mod diagnostic;
pub mod due;
pub mod expression;
pub mod history;
pub mod interpolation;
pub mod library;
pub mod name;
pub mod plan;
pub mod reason;
pub mod reconcile;
pub mod recurrence;
#[doc(hidden)]
pub mod sabotage;
pub mod shard;
pub mod simulate;
pub mod spread;
pub mod task;
pub mod timeline;
pub mod value;
pub mod wish;
