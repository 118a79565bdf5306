//! What can go wrong in a store: a kind to branch on, a context to read, and the source.
//!
//! Refusals that belong to one change set are no errors: see [`crate::port::Conflict`]. No message carries a payload.

use std::fmt;

/// Why a call to a store failed as a whole.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    context: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What kind of failure it is, to branch on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The stored schema is newer than this program; nothing was written.
    NewerSchema {
        /// The schema that was found.
        found: u32,
        /// The newest schema that this program knows.
        known: u32,
    },
    /// There is no store at that place, or none that can be opened.
    Missing,
    /// Another process kept the store locked for too long; trying again later is right.
    Busy,
    /// No space is left; once there is, the same call works.
    DiskFull,
    /// What is stored cannot be read: it was damaged or written by something else.
    Corrupt,
    /// An argument is out of its limits.
    Invalid,
    /// The store was opened for reading only.
    ReadOnly,
    /// The machine's database library has a known fault and is refused.
    UnsafeLibrary,
    /// The store could not be reached, or ended in the middle of the call.
    Unavailable,
}

impl Error {
    /// An error of that kind; `context` fits after "cannot start the engine: ".
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Whether nothing was written for certain; otherwise look by id before you try again.
    pub fn definite(&self) -> bool {
        self.kind != ErrorKind::Unavailable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
