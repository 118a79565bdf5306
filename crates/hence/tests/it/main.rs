//! What the engine promises, through the engine: each file one area, every test on each store.
#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

mod adhoc;
mod cancel;
mod embedding;
mod facts;
mod keys;
mod late;
mod later;
mod race;
mod slow;
mod story;
mod told_operations;

mod audit;
mod forecast;
mod orders;
mod trial;
mod world;

// The one HTTP server of the tests that can answer anything stands beside the webhooks.
#[path = "../../../hence-dispatch/tests/it/http_server.rs"]
#[allow(dead_code, reason = "the tests of webhooks use all of it")]
mod http_server;
