//! What errors of the database mean: for the caller a kind, for the store whether to run the call again or to connect anew.

use tokio_postgres::error::SqlState;

use crate::error::{Error, ErrorKind};
use crate::format::corrupt;

/// Why a call ended within its transaction.
pub(super) enum Stop {
    /// It lost a race that the database decided (F38): nothing was written; run it again.
    Again(Error),
    /// The server went away or writes no more (F43): no connection to it is to be used again.
    Gone(Error),
    /// Anything else.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

impl Stop {
    /// The error behind it.
    pub(super) fn into_error(self) -> Error {
        match self {
            Stop::Again(error) | Stop::Gone(error) | Stop::Failed(error) => error,
        }
    }
}

/// What an error of the driver means; `context` fits after "cannot start the engine: ".
pub(super) fn stop(error: tokio_postgres::Error, context: &str) -> Stop {
    let Some(state) = error.code().cloned() else {
        // No answer of the server: the connection broke, or the server speaks otherwise than it should.
        return Stop::Gone(Error::new(ErrorKind::Unavailable, context).caused_by(error));
    };
    let kind = kind(&state);
    let is_gone = matches!(state.code(), "25006" | "57P01" | "57P02" | "57P03") || state.code().starts_with("08");
    let is_lost = [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE].contains(&state);
    let error = Error::new(kind, context).caused_by(error);
    match (is_gone, is_lost) {
        (true, _) => Stop::Gone(error),
        (_, true) => Stop::Again(error),
        _ => Stop::Failed(error),
    }
}

/// The kind of error for a state of SQL.
fn kind(state: &SqlState) -> ErrorKind {
    let code = state.code();
    match code {
        "53100" => ErrorKind::DiskFull,
        // Locks and statements that took too long, lost races, connections or memory used up: later it may work.
        "55P03" | "57014" | "53200" | "53300" => ErrorKind::Busy,
        "42501" => ErrorKind::ReadOnly,
        "3D000" | "3F000" | "42P01" | "42883" => ErrorKind::Missing,
        "XX001" | "XX002" => ErrorKind::Corrupt,
        _ => match &code[..2] {
            "40" => ErrorKind::Busy,
            "28" => ErrorKind::Missing,
            "22" | "23" | "54" => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        },
    }
}

/// A row that does not hold what it should.
pub(super) fn unreadable(error: tokio_postgres::Error) -> Error {
    corrupt("a stored value cannot be read").caused_by(error)
}
