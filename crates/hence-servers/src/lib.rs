//! Private servers on this machine, for tests, benches and the demo: started when they are needed, gone when nobody needs them.
//!
//! Owns finding the programs, starting and stopping them, and that nothing is left behind: a watch process stops a server whose users have
//! all ended, however they ended. Knows nothing of Hence. A program that is not installed is an error, never a skip.

mod process;

pub mod postgres;

/// Why a server is not to be had; says what to install or look at.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub(crate) String);

impl Error {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Turns an error of the operating system into one that says what was tried.
fn failed(what: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error(format!("cannot {what}: {error}"))
}
