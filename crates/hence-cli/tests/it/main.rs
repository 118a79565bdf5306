//! Goal: the command line does what its help says, for people and for programs, with the promised exit codes.
//! Method: the built binary in folders of their own, on a virtual clock; an engine where one is needed, on a port nobody fixed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod runner;

mod auditing;
mod blackbox;
mod configuration;
mod crashes;
mod database;
mod definitions;
mod demo;
mod docs;
mod formats;
mod import;
mod operating;
mod preview;
mod read_only;
mod receivers;
mod serving;
mod telling;
mod why;
