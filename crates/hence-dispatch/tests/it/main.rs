//! Goal: dispatchers do over real connections what the port promises. Method: the conformance suite over every transport,
//! each against a server that obeys or misbehaves as told; then what only one transport has.

#![allow(clippy::unwrap_used)]

mod catcher;
mod email;
mod handler;
mod http_server;
mod smtp_server;
mod webhook;
