//! What a snapshot consists of: data files, and the rows of them that are deleted.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::io::FileIO;
use iceberg::spec::{DataContentType, DataFile, DataFileFormat, ManifestFile, ManifestList, Snapshot, TableMetadata};

use crate::position_delete::{in_order, read};
use crate::{Error, Result, TableName};

/// A data file and which of its rows are gone.
#[derive(Debug, Clone)]
pub(crate) struct LiveFile {
    pub file: DataFile,
    pub partition_spec_id: i32,
    /// Positions in the file, ascending, each once.
    pub deleted: Arc<Vec<u64>>,
}

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

/// Reads the data files of a snapshot. Tables with deletes by key are refused: their rows would come back.
pub(crate) async fn live_files(
    files: &FileIO,
    table: &TableName,
    metadata: &TableMetadata,
    snapshot: &Snapshot,
) -> Result<Arc<Vec<LiveFile>>> {
    let unsupported = |reason: &str| Error::Unsupported { table: table.clone(), reason: reason.to_string() };
    let (mut live, mut deletes) = (Vec::new(), Vec::new());
    for manifest in manifest_files(files, table, metadata, snapshot).await? {
        if !manifest.has_added_files() && !manifest.has_existing_files() {
            continue;
        }
        let loaded = manifest.load_manifest(files).await.map_err(Error::metadata(table, "read"))?;
        for entry in loaded.entries().iter().filter(|entry| entry.is_alive()) {
            let file = entry.data_file().clone();
            let sequence = entry.sequence_number().unwrap_or(0);
            match (file.content_type(), file.file_format()) {
                (DataContentType::Data, DataFileFormat::Parquet) => {
                    let partition_spec_id = manifest.partition_spec_id;
                    live.push((LiveFile { file, partition_spec_id, deleted: Arc::default() }, sequence));
                }
                (DataContentType::Data, _) => return Err(unsupported("has data files that are not Parquet")),
                (DataContentType::PositionDeletes, DataFileFormat::Parquet) => deletes.push((file, sequence)),
                _ => {
                    return Err(unsupported(
                        "has deletes by key or as bitmaps, which cannot be read here\n\
                         hint: compact it with the program that made them",
                    ));
                }
            }
        }
    }
    let mut deleted: HashMap<String, Vec<(i64, Vec<u64>)>> = HashMap::new();
    for (file, sequence) in &deletes {
        for (path, positions) in read(files, table, file).await? {
            deleted.entry(path).or_default().push((*sequence, positions));
        }
    }
    let applied = live.into_iter().map(|(mut file, added)| {
        if let Some(deleted) = deleted.remove(file.file.file_path()) {
            // Deletes say nothing about files that came after them.
            let later = deleted.into_iter().filter(|(sequence, _)| *sequence >= added);
            let rows = file.file.record_count();
            let there = later.flat_map(|(_, positions)| positions).filter(|position| *position < rows);
            file.deleted = in_order(there.collect());
        }
        file
    });
    Ok(Arc::new(applied.collect()))
}
