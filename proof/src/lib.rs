//! Measures the product as it is shipped, and kills it: run as `cargo xtask bench`, `crash` and `blackbox`, never by users.
//!
//! Owns the workloads and the raw statements they are compared with (`bench`), and the harness that kills the built binary and holds
//! history against the receiver's log (`crash`), also with several nodes that are hurt (`blackbox`). Reads the clock, because it stands outside of what it measures.

// A developer's tool talks to the terminal; there is no other reader.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod machine;

pub mod bench;

pub mod million;

pub mod crash;

pub mod blackbox;
