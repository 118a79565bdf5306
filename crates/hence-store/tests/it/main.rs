//! The tests of the stores: one suite over all of them, then what only one has.
#![allow(clippy::unwrap_used, reason = "tests: a failed unwrap is a failed test")]

mod attach;
mod contract;
mod facts_postgres;
mod functions;
mod postgres;
mod random;
mod sites;
mod sqlite;
mod statements;
mod statements_postgres;
mod suite;
