//! What can go wrong: a kind to branch on, what to read, and the source.

use std::convert::Infallible;

use hence_core::diagnostic::Diagnostic;
use hence_core::name::NameError;

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
    /// A name, an entity or an event is not written as one.
    #[error(transparent)]
    Name(#[from] NameError),
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

/// An error of this crate: its kind says what to do.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), hence::Error> {
/// let client = hence::Hence::builder().client().await?;
/// let refused = client.event("account", "account.paid", serde_json::Value::Null).await;
/// assert!(matches!(refused, Err(hence::ErrorKind::Name(_))));
/// # Ok(())
/// # }
/// ```
pub type Error = ErrorKind;

impl From<Infallible> for ErrorKind {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl ErrorKind {
    /// Whether the same thing is right later, without anybody doing anything to this process: no space is left, or another process
    /// kept the store locked. Nothing was written.
    pub(crate) fn is_passing(&self) -> bool {
        use hence_store::ErrorKind::{Busy, DiskFull, Unavailable};
        matches!(self, Self::Store(error) if matches!(error.kind(), Busy | DiskFull | Unavailable))
    }
}
