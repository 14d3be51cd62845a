//! How many files, rows and bytes a snapshot has.

use iceberg::io::FileIO;
use iceberg::spec::{DataContentType, DataFile, Snapshot, TableMetadata};

use crate::live::manifest_files;
use crate::{Error, Result, TableName};

/// Counts over files. Deleted rows are still records of their data file.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Totals {
    pub data_files: u64,
    pub records: u64,
    pub delete_files: u64,
    pub position_deletes: u64,
    pub equality_deletes: u64,
    pub bytes: u64,
}

impl Totals {
    pub fn add(&mut self, file: &DataFile) {
        self.bytes += file.file_size_in_bytes();
        let records = file.record_count();
        match file.content_type() {
            DataContentType::Data => {
                self.data_files += 1;
                self.records += records;
            }
            DataContentType::PositionDeletes => {
                self.delete_files += 1;
                self.position_deletes += records;
            }
            DataContentType::EqualityDeletes => {
                self.delete_files += 1;
                self.equality_deletes += records;
            }
        }
    }

    /// What there is after these came and those went.
    pub fn after(&self, added: &Totals, removed: &Totals) -> Totals {
        let next = |count: fn(&Totals) -> u64| (count(self) + count(added)).saturating_sub(count(removed));
        Totals {
            data_files: next(|totals| totals.data_files),
            records: next(|totals| totals.records),
            delete_files: next(|totals| totals.delete_files),
            position_deletes: next(|totals| totals.position_deletes),
            equality_deletes: next(|totals| totals.equality_deletes),
            bytes: next(|totals| totals.bytes),
        }
    }

    /// Rows that are not deleted by position.
    pub fn row_count(&self) -> u64 {
        self.records.saturating_sub(self.position_deletes)
    }
}

/// Reads the totals from a snapshot's summary, or counts them.
pub(crate) async fn totals_of(
    files: &FileIO,
    table: &TableName,
    base: &TableMetadata,
    snapshot: &Snapshot,
) -> Result<Totals> {
    let summary = &snapshot.summary().additional_properties;
    let read = |key: &str| summary.get(key).and_then(|value| value.parse().ok());
    if let (Some(data_files), Some(records), Some(bytes)) =
        (read("total-data-files"), read("total-records"), read("total-files-size"))
    {
        let deletes = |key: &str| read(key).unwrap_or(0);
        return Ok(Totals {
            data_files,
            records,
            delete_files: deletes("total-delete-files"),
            position_deletes: deletes("total-position-deletes"),
            equality_deletes: deletes("total-equality-deletes"),
            bytes,
        });
    }
    let mut totals = Totals::default();
    for manifest in manifest_files(files, table, base, snapshot).await? {
        let loaded = manifest.load_manifest(files).await.map_err(Error::metadata(table, "read"))?;
        loaded.entries().iter().filter(|entry| entry.is_alive()).for_each(|entry| totals.add(entry.data_file()));
    }
    Ok(totals)
}

/// Counts the rows that a table has now.
pub(crate) async fn row_count(files: &FileIO, table: &TableName, metadata: &TableMetadata) -> Result<u64> {
    match metadata.current_snapshot() {
        Some(snapshot) => Ok(totals_of(files, table, metadata, snapshot).await?.row_count()),
        None => Ok(0),
    }
}
