//! Reasons: why a task exists, moved, ended or does not exist, as data that can be read for years.
//!
//! Owns the data ([`Reason`], in `format`). Leaves to others: gathering reasons (`plan`, `decide`) and answering questions
//! with them (`why`).

mod format;

pub use format::Reason;
