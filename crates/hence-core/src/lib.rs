//! All decisions of Hence, and nothing else: definition, expressions, calendars, plan, reconcile, task states, simulation.
//!
//! No I/O, no async, no clock, no randomness, no environment: time and dice are arguments. Read the modules in this order.

pub mod calendar;
pub mod due;
pub mod expression;
pub mod history;
pub mod name;
pub mod reason;
pub mod recurrence;
pub mod spread;
pub mod task;
pub mod timeline;
pub mod value;
pub mod wish;
