//! Writes Parquet files of a table.

use arrow::record_batch::RecordBatch;

use crate::{Error, Result};

/// Writes rows of one table into Parquet files; to be used from one thread.
pub struct TableWriter {}

impl TableWriter {
    /// Writes rows; columns are matched by name.
    pub fn write(&mut self, _batch: &RecordBatch) -> Result<()> {
        Err(Error::Unfinished)
    }

    /// Finishes the files.
    pub fn close(self) -> Result<WrittenFiles> {
        Err(Error::Unfinished)
    }
}

/// Files that were written, but belong to no table yet.
#[derive(Debug, Clone, Default)]
pub struct WrittenFiles {}

impl WrittenFiles {
    /// Adds the files of another writer.
    pub fn extend(&mut self, _other: WrittenFiles) {}

    /// Counts the rows.
    pub fn row_count(&self) -> u64 {
        0
    }

    /// Counts the bytes on disk.
    pub fn size_bytes(&self) -> u64 {
        0
    }
}
