//! How stores are opened.

/// How a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// Made if it is not there.
    Create,
    /// It must be there; its schema is brought up to date.
    Existing,
    /// It must be there, with the schema of this program; nothing is ever written.
    ReadOnly,
}
