//! The lines of a download that could not be read: counted, the first of them named, and too many of them an error.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// So many bad lines are named.
const NAMED: usize = 10;

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BadLine {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The column; none for the line as a whole.
    pub column: Option<String>,
    /// What was expected there.
    pub expected: String,
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "file `{}`, line {}", self.file, self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", column `{column}`")?;
        }
        write!(f, ": expected {}", self.expected)
    }
}

/// What could not be read, of all files of an import.
pub struct BadLines {
    limit: u64,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    count: u64,
    first: Vec<BadLine>,
}

impl BadLines {
    /// Nothing yet; more than `limit` stop the import.
    pub fn new(limit: u64) -> BadLines {
        BadLines { limit, found: Mutex::default() }
    }

    /// Counts a line.
    ///
    /// # Errors
    /// There are more than allowed.
    pub fn add(&self, line: BadLine) -> Result<()> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.count += 1;
        let place = found.first.partition_point(|held| *held < line);
        found.first.insert(place, line);
        found.first.truncate(NAMED);
        match found.first.first() {
            Some(first) if found.count > self.limit => Err(Error::Vocabulary(format!(
                "{first}\nhint: {} lines cannot be read, and {} are allowed; `--max-bad-lines` allows more",
                found.count, self.limit
            ))),
            _ => Ok(()),
        }
    }

    /// How many there are, and the first of them.
    pub fn finish(self) -> (u64, Vec<BadLine>) {
        let found = self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        (found.count, found.first)
    }
}
