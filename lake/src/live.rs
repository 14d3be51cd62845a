//! The data files that a snapshot consists of.

use std::sync::Arc;

use iceberg::io::FileIO;
use iceberg::spec::{
    DataFile, DataFileFormat, ManifestContentType, ManifestFile, ManifestList, Snapshot, TableMetadata,
};

use crate::{Error, Result, TableName};

/// Reads the manifest list of a snapshot.
pub(crate) async fn manifest_files(
    files: &FileIO,
    table: &TableName,
    metadata: &TableMetadata,
    snapshot: &Snapshot,
) -> Result<Vec<ManifestFile>> {
    let reading = || Error::metadata(table, "read");
    let input = files.new_input(snapshot.manifest_list()).map_err(reading())?;
    let bytes = input.read().await.map_err(reading())?;
    let list = ManifestList::parse_with_version(&bytes, metadata.format_version()).map_err(reading())?;
    Ok(list.consume_entries().into_iter().collect())
}

/// Reads the data files of a snapshot. Tables with row-level deletes are refused: their rows would come back.
pub(crate) async fn live_files(
    files: &FileIO,
    table: &TableName,
    metadata: &TableMetadata,
    snapshot: &Snapshot,
) -> Result<Arc<Vec<DataFile>>> {
    let mut live = Vec::new();
    for manifest in manifest_files(files, table, metadata, snapshot).await? {
        if !manifest.has_added_files() && !manifest.has_existing_files() {
            continue;
        }
        let unsupported = |reason: &str| Error::Unsupported { table: table.clone(), reason: reason.to_string() };
        if manifest.content == ManifestContentType::Deletes {
            return Err(unsupported(
                "has row-level deletes, which cannot be read here\nhint: compact it with the program that made them",
            ));
        }
        let loaded = manifest.load_manifest(files).await.map_err(Error::metadata(table, "read"))?;
        for entry in loaded.entries().iter().filter(|entry| entry.is_alive()) {
            if entry.data_file().file_format() != DataFileFormat::Parquet {
                return Err(unsupported("has data files that are not Parquet"));
            }
            live.push(entry.data_file().clone());
        }
    }
    Ok(Arc::new(live))
}
