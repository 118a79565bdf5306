//! What can go wrong: a kind to branch on, what to read, and the source.

use hence_core::diagnostic::Diagnostic;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store could not.
    #[error(transparent)]
    Store(#[from] hence_store::Error),
    /// A definition has problems.
    #[error("the definition has {} problem(s)", .0.len())]
    Definition(Vec<Diagnostic>),
    /// What was told does not fit; nothing was changed.
    #[error("{problem}")]
    Refused {
        /// The stable code, such as `HNC-0301`.
        code: &'static str,
        /// What was wrong.
        problem: String,
    },
    /// There is no such thing.
    #[error("{0} is not known")]
    NotFound(String),
    /// Another change came first, again and again.
    #[error("{0} is being changed by others; nothing was done")]
    Contended(String),
}

/// An error of this crate.
pub type Error = ErrorKind;

impl ErrorKind {
    /// Whether the same thing is right later, without anybody doing anything to this process: no space is left, or another process
    /// kept the store locked. Nothing was written.
    pub(crate) fn is_passing(&self) -> bool {
        use hence_store::ErrorKind::{Busy, DiskFull, Unavailable};
        matches!(self, Self::Store(error) if matches!(error.kind(), Busy | DiskFull | Unavailable))
    }
}
