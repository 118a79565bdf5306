//! The tests of the stores: one suite over all of them, then what only one has.

mod random;
mod sites;
mod sqlite;
mod statements;
mod suite;
