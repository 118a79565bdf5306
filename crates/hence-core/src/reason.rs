//! Reasons: why a task exists, moved, ended or does not exist, as data that can be read for years.
//!
//! Owns the data ([`Reason`], in `format`) and its words (in `sentence`). Leaves to others: gathering reasons (`plan`, `decide`)
//! and answering questions with them (`why`).

pub mod delay;
mod format;
mod sentence;

pub use format::Reason;

impl Reason {
    /// Whether a person, or a program in its own name, wanted it so.
    pub fn is_of_person(&self) -> bool {
        match self {
            Self::Person { .. } | Self::RunAgain { .. } => true,
            Self::Moved { because, .. } => because.is_of_person(),
            _ => false,
        }
    }
}
