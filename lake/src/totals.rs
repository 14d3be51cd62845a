//! How many files, rows and bytes a snapshot has.

use iceberg::io::FileIO;
use iceberg::spec::{DataContentType, DataFile, Snapshot, TableMetadata};

use crate::live::manifest_files;
use crate::{Error, Result, TableName};

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Totals {
    pub files: u64,
    pub records: u64,
    pub bytes: u64,
}

impl Totals {
    pub fn of<'a>(files: impl IntoIterator<Item = &'a DataFile>) -> Totals {
        let mut totals = Totals::default();
        files.into_iter().for_each(|file| totals.add(file));
        totals
    }

    pub fn add(&mut self, file: &DataFile) {
        self.files += 1;
        self.records += file.record_count();
        self.bytes += file.file_size_in_bytes();
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
    if let (Some(files), Some(records), Some(bytes)) =
        (read("total-data-files"), read("total-records"), read("total-files-size"))
    {
        return Ok(Totals { files, records, bytes });
    }
    let mut totals = Totals::default();
    for manifest in manifest_files(files, table, base, snapshot).await? {
        let loaded = manifest.load_manifest(files).await.map_err(Error::metadata(table, "read"))?;
        for entry in loaded.entries().iter().filter(|entry| entry.is_alive()) {
            if entry.data_file().content_type() == DataContentType::Data {
                totals.add(entry.data_file());
            }
        }
    }
    Ok(totals)
}

/// Counts the rows that a snapshot holds.
pub(crate) async fn row_count(files: &FileIO, table: &TableName, metadata: &TableMetadata) -> Result<u64> {
    match metadata.current_snapshot() {
        Some(snapshot) => Ok(totals_of(files, table, metadata, snapshot).await?.records),
        None => Ok(0),
    }
}
