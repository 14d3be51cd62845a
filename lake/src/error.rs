//! What can go wrong, and whether trying again may help.

use crate::TableName;

/// What can go wrong in the lake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name without namespace, or with a character that is not allowed.
    #[error("`{0}` is not a table name: expected `namespace.table` of letters, digits and underscores")]
    BadName(String),
    /// No such table.
    #[error("table `{0}` does not exist")]
    NoSuchTable(TableName),
    /// Not written yet.
    #[error("not written yet")]
    Unfinished,
}

/// The result of a lake function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Says whether the same call may succeed when it is made again.
    pub fn is_retryable(&self) -> bool {
        false
    }
}
