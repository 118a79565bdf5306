//! What hence-core promises, tested from outside: one file per area, data in, data out.

#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

mod calendar;
mod carry_out;
mod decide;
mod definition;
mod definition_broken;
mod definition_keys;
mod delay;
mod due;
mod examples;
mod expression;
mod expression_limits;
mod expression_page;
mod fuzz;
mod hostile;
mod hostile_corpus;
mod hours;
mod interpolation;
mod oracle;
mod reason;
mod recurrence;
mod task;
mod value;
