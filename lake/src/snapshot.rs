//! Makes the next snapshot of a table: manifests, manifest list, metadata file. Nothing here is visible to readers
//! before the catalog's pointer moves, so all of it can be made again on a newer base.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFile, FormatVersion, MAIN_BRANCH, ManifestContentType, ManifestEntryRef, ManifestFile,
    ManifestListWriter, ManifestWriter, ManifestWriterBuilder, Operation, PartitionSpec, Schema, SchemaRef, Snapshot,
    SortOrder, Struct, Summary, TableMetadata, TableMetadataRef,
};
use iceberg::{Error as IcebergError, MetadataLocation};
use uuid::Uuid;

use crate::litter::Litter;
use crate::live::manifest_files;
use crate::location::path_of;
use crate::{Error, Result, TableName};

/// So many manifests are merged into one.
const MANIFESTS_TO_MERGE: usize = 64;
const FLUSHED_AT_ONCE: usize = 16;

/// What a transaction does to the files of one table: first some go, then some come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub all: bool,
    pub partitions: HashSet<Struct>,
    pub paths: HashSet<String>,
    pub add: Vec<DataFile>,
}

impl Plan {
    pub fn removes(&self, file: &DataFile) -> bool {
        self.all || self.paths.contains(file.file_path()) || self.partitions.contains(file.partition())
    }

    fn only_adds(&self) -> bool {
        !self.all && self.paths.is_empty() && self.partitions.is_empty()
    }
}

/// A table at the moment on which a change is based.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// Metadata file; none when the table is to be created.
    pub location: Option<String>,
    pub metadata: TableMetadataRef,
}

/// Columns that come with the snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Evolution {
    pub schema: Schema,
    /// Set when columns may have gone that the old order was made of.
    pub sort_order: Option<SortOrder>,
}

/// The next state of a table, written but not visible.
#[derive(Debug)]
pub(crate) struct Produced {
    pub location: String,
    pub metadata: TableMetadataRef,
    pub snapshot_id: i64,
    pub total_records: u64,
    /// Metadata files that were written for it.
    pub written: Vec<PathBuf>,
}

/// What all tables of one commit have in common.
pub(crate) struct Write<'a> {
    pub files: &'a FileIO,
    pub litter: &'a Litter,
    /// Goes into every snapshot summary.
    pub properties: &'a BTreeMap<String, String>,
    pub timestamp_ms: i64,
}

/// Applies an evolution to metadata, without a snapshot.
pub(crate) fn evolved(base: &Base, evolution: Option<&Evolution>) -> Result<TableMetadata, IcebergError> {
    let metadata = TableMetadata::clone(&base.metadata);
    let Some(evolution) = evolution else { return Ok(metadata) };
    let mut builder = metadata.into_builder(base.location.clone()).add_current_schema(evolution.schema.clone())?;
    if let Some(order) = &evolution.sort_order {
        builder = builder.add_sort_order(order.clone())?.set_default_sort_order(-1)?;
    }
    Ok(builder.build()?.metadata)
}

/// Writes the next state of a table.
pub(crate) async fn produce(
    write: &Write<'_>,
    table: &TableName,
    base: &Base,
    evolution: Option<&Evolution>,
    plan: &Plan,
) -> Result<Produced> {
    let metadata = &base.metadata;
    if metadata.format_version() != FormatVersion::V2 {
        let reason = format!("has format version {}, but only 2 is written here", metadata.format_version());
        return Err(Error::Unsupported { table: table.clone(), reason });
    }
    let making = || Error::metadata(table, "made");
    let current = evolved(base, evolution).map_err(making())?;
    let mut producer = Producer {
        files: write.files,
        litter: write.litter,
        table,
        folder: format!("{}/metadata", current.location()),
        commit: Uuid::now_v7(),
        snapshot_id: new_snapshot_id(metadata),
        schema: current.current_schema().clone(),
        spec: PartitionSpec::clone(current.default_partition_spec()),
        written: Vec::new(),
        removed: Totals::default(),
    };
    let manifests = producer.manifests(metadata, plan).await?;
    let added = Totals::of(&plan.add);
    let (totals, summary) = producer.summary(metadata, plan, &added, write.properties).await?;
    let list = producer.manifest_list(metadata, manifests).await?;
    let snapshot = Snapshot::builder()
        .with_manifest_list(list)
        .with_snapshot_id(producer.snapshot_id)
        .with_parent_snapshot_id(metadata.current_snapshot_id())
        .with_sequence_number(metadata.next_sequence_number())
        .with_summary(summary)
        .with_schema_id(current.current_schema_id())
        .with_timestamp_ms(write.timestamp_ms.max(metadata.last_updated_ms()))
        .build();
    let builder = match evolution {
        // The metadata log names the base already.
        Some(_) => current.into_builder(None),
        None => current.into_builder(base.location.clone()),
    };
    let built = builder.set_branch_snapshot(snapshot, MAIN_BRANCH).and_then(|builder| builder.build());
    let next = built.map_err(making())?.metadata;
    let location = next_location(base, &next).map_err(making())?;
    producer.note(&location.to_string());
    next.write_to(write.files, &location).await.map_err(Error::metadata(table, "written"))?;
    Ok(Produced {
        location: location.to_string(),
        metadata: Arc::new(next),
        snapshot_id: producer.snapshot_id,
        total_records: totals.records,
        written: producer.written,
    })
}

fn next_location(base: &Base, next: &TableMetadata) -> Result<MetadataLocation, IcebergError> {
    match &base.location {
        // A metadata file named by other rules starts the count anew.
        Some(location) => match location.parse::<MetadataLocation>() {
            Ok(location) => Ok(location.with_next_version().with_new_metadata(next)),
            Err(_) => Ok(MetadataLocation::new_with_metadata(next.location(), next).with_next_version()),
        },
        None => Ok(MetadataLocation::new_with_metadata(next.location(), next)),
    }
}

fn new_snapshot_id(metadata: &TableMetadata) -> i64 {
    loop {
        let (high, low) = Uuid::new_v4().as_u64_pair();
        let id = ((high ^ low) >> 1) as i64;
        if id != 0 && metadata.snapshot_by_id(id).is_none() {
            return id;
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Totals {
    files: u64,
    records: u64,
    bytes: u64,
}

impl Totals {
    fn of<'a>(files: impl IntoIterator<Item = &'a DataFile>) -> Totals {
        let mut totals = Totals::default();
        files.into_iter().for_each(|file| totals.add(file));
        totals
    }

    fn add(&mut self, file: &DataFile) {
        self.files += 1;
        self.records += file.record_count();
        self.bytes += file.file_size_in_bytes();
    }
}

struct Producer<'a> {
    files: &'a FileIO,
    litter: &'a Litter,
    table: &'a TableName,
    folder: String,
    commit: Uuid,
    snapshot_id: i64,
    schema: SchemaRef,
    spec: PartitionSpec,
    written: Vec<PathBuf>,
    removed: Totals,
}

impl Producer<'_> {
    fn note(&mut self, url: &str) {
        let path = path_of(url);
        self.litter.add(&path);
        self.written.push(path);
    }

    /// Goes through the manifests of the base: keeps what is not touched, rewrites what is, adds what is new.
    async fn manifests(&mut self, base: &TableMetadata, plan: &Plan) -> Result<Vec<ManifestFile>> {
        let mut manifests = Vec::new();
        if let Some(parent) = base.current_snapshot() {
            for manifest in manifest_files(self.files, self.table, base, parent).await? {
                self.carry_over(manifest, base, plan, &mut manifests).await?;
            }
        }
        manifests = self.merge(manifests, base).await?;
        if !plan.add.is_empty() {
            let mut writer = self.manifest_writer(self.schema.clone(), self.spec.clone())?;
            for file in &plan.add {
                // The sequence number is inherited from the snapshot.
                writer.add_file(file.clone(), -1).map_err(Error::metadata(self.table, "made"))?;
            }
            manifests.push(self.finish(writer).await?);
        }
        Ok(manifests)
    }

    async fn carry_over(
        &mut self,
        manifest: ManifestFile,
        base: &TableMetadata,
        plan: &Plan,
        carried: &mut Vec<ManifestFile>,
    ) -> Result<()> {
        // It told of files that an older snapshot removed.
        if !manifest.has_added_files() && !manifest.has_existing_files() {
            return Ok(());
        }
        if manifest.content == ManifestContentType::Deletes {
            if plan.only_adds() {
                carried.push(manifest);
            } else if !plan.all {
                let reason = "has row-level deletes, so that only appending or replacing it whole is possible here";
                return Err(Error::Unsupported { table: self.table.clone(), reason: reason.to_string() });
            }
            return Ok(());
        }
        if plan.only_adds() {
            carried.push(manifest);
            return Ok(());
        }
        let loaded = manifest.load_manifest(self.files).await.map_err(Error::metadata(self.table, "read"))?;
        let live: Vec<ManifestEntryRef> = loaded.entries().iter().filter(|entry| entry.is_alive()).cloned().collect();
        if !live.iter().any(|entry| plan.removes(entry.data_file())) {
            carried.push(manifest);
            return Ok(());
        }
        let mut writer = self.manifest_writer_like(&manifest, base)?;
        for entry in &live {
            let file = entry.data_file();
            if plan.removes(file) {
                self.removed.add(file);
                let sequence = entry.sequence_number().unwrap_or(0);
                writer.add_delete_file(file.clone(), sequence, entry.file_sequence_number)
            } else {
                keep_entry(&mut writer, entry, &manifest)
            }
            .map_err(Error::metadata(self.table, "made"))?;
        }
        carried.push(self.finish(writer).await?);
        Ok(())
    }

    /// Many appends make many manifests; now and then they become one.
    async fn merge(&mut self, manifests: Vec<ManifestFile>, base: &TableMetadata) -> Result<Vec<ManifestFile>> {
        let spec = self.spec.spec_id();
        let mergeable = |m: &ManifestFile| {
            m.content == ManifestContentType::Data
                && m.partition_spec_id == spec
                && m.added_snapshot_id != self.snapshot_id
        };
        if manifests.iter().filter(|m| mergeable(m)).count() < MANIFESTS_TO_MERGE {
            return Ok(manifests);
        }
        let (merge, mut keep): (Vec<_>, Vec<_>) = manifests.into_iter().partition(mergeable);
        let Some(first) = merge.first() else { return Ok(keep) };
        let mut writer = self.manifest_writer_like(first, base)?;
        for manifest in &merge {
            let loaded = manifest.load_manifest(self.files).await.map_err(Error::metadata(self.table, "read"))?;
            for entry in loaded.entries().iter().filter(|entry| entry.is_alive()) {
                keep_entry(&mut writer, entry, manifest).map_err(Error::metadata(self.table, "made"))?;
            }
        }
        keep.push(self.finish(writer).await?);
        Ok(keep)
    }

    fn manifest_writer_like(&mut self, manifest: &ManifestFile, base: &TableMetadata) -> Result<ManifestWriter> {
        let spec = base.partition_spec_by_id(manifest.partition_spec_id).map_or(&self.spec, |spec| spec.as_ref());
        // Manifests written before columns were dropped may be partitioned by one of them.
        let schema = std::iter::once(&self.schema)
            .chain(base.schemas_iter())
            .find(|schema| spec.partition_type(schema).is_ok())
            .unwrap_or(&self.schema);
        self.manifest_writer(schema.clone(), spec.clone())
    }

    fn manifest_writer(&mut self, schema: SchemaRef, spec: PartitionSpec) -> Result<ManifestWriter> {
        let url = format!("{}/{}-m{}.avro", self.folder, self.commit, self.written.len());
        self.note(&url);
        let output = self.files.new_output(url).map_err(Error::metadata(self.table, "written"))?;
        Ok(ManifestWriterBuilder::new(output, Some(self.snapshot_id), schema, spec).build_v2_data())
    }

    async fn finish(&self, writer: ManifestWriter) -> Result<ManifestFile> {
        writer.write_manifest_file().await.map_err(Error::metadata(self.table, "written"))
    }

    async fn manifest_list(&mut self, base: &TableMetadata, manifests: Vec<ManifestFile>) -> Result<String> {
        let writing = || Error::metadata(self.table, "written");
        let url = format!("{}/snap-{}-0-{}.avro", self.folder, self.snapshot_id, self.commit);
        self.note(&url);
        let output = self.files.new_output(&url).map_err(writing())?;
        let writer = output.writer().await.map_err(writing())?;
        let mut list =
            ManifestListWriter::v2(writer, self.snapshot_id, base.current_snapshot_id(), base.next_sequence_number());
        list.add_manifests(manifests.into_iter()).map_err(writing())?;
        list.close().await.map_err(writing())?;
        Ok(url)
    }

    async fn summary(
        &self,
        base: &TableMetadata,
        plan: &Plan,
        added: &Totals,
        properties: &BTreeMap<String, String>,
    ) -> Result<(Totals, Summary)> {
        let before = match base.current_snapshot() {
            Some(parent) => totals_of(self.files, self.table, base, parent).await?,
            None => Totals::default(),
        };
        let removed = if plan.all { before } else { self.removed };
        let totals = Totals {
            files: (before.files + added.files).saturating_sub(removed.files),
            records: (before.records + added.records).saturating_sub(removed.records),
            bytes: (before.bytes + added.bytes).saturating_sub(removed.bytes),
        };
        let mut values: HashMap<String, String> = properties.clone().into_iter().collect();
        let mut put = |key: &str, value: u64| values.insert(key.to_string(), value.to_string());
        put("added-data-files", added.files);
        put("added-records", added.records);
        put("added-files-size", added.bytes);
        if removed.files > 0 {
            put("deleted-data-files", removed.files);
            put("deleted-records", removed.records);
            put("removed-files-size", removed.bytes);
        }
        put("total-data-files", totals.files);
        put("total-records", totals.records);
        put("total-files-size", totals.bytes);
        let parent =
            base.current_snapshot().filter(|_| !plan.all).map(|parent| &parent.summary().additional_properties);
        for deletes in ["total-delete-files", "total-position-deletes", "total-equality-deletes"] {
            put(deletes, parent.and_then(|summary| summary.get(deletes)?.parse().ok()).unwrap_or(0));
        }
        let operation = if plan.only_adds() {
            Operation::Append
        } else if added.files == 0 {
            Operation::Delete
        } else {
            Operation::Overwrite
        };
        Ok((totals, Summary { operation, additional_properties: values }))
    }
}

fn keep_entry(
    writer: &mut ManifestWriter,
    entry: &ManifestEntryRef,
    manifest: &ManifestFile,
) -> Result<(), IcebergError> {
    writer.add_existing_file(
        entry.data_file().clone(),
        entry.snapshot_id().unwrap_or(manifest.added_snapshot_id),
        entry.sequence_number().unwrap_or(0),
        entry.file_sequence_number,
    )
}

/// Reads the totals from a snapshot's summary, or counts them.
async fn totals_of(files: &FileIO, table: &TableName, base: &TableMetadata, snapshot: &Snapshot) -> Result<Totals> {
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

/// Flushes files to the disk, and then the folders that name them. Many at once: the disk's journal takes them together.
pub(crate) async fn flush(written: Vec<PathBuf>) -> Result<()> {
    let flushing = tokio::task::spawn_blocking(move || {
        let folders: BTreeSet<&Path> = written.iter().filter_map(|path| path.parent()).collect();
        flush_all(&written.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
        flush_all(&folders.into_iter().collect::<Vec<_>>())
    });
    flushing.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

fn flush_all(paths: &[&Path]) -> Result<()> {
    let flush = |path: &&Path| {
        let file = File::open(path).map_err(Error::file(*path, "flushed"))?;
        file.sync_all().map_err(Error::file(*path, "flushed"))
    };
    let share = paths.len().div_ceil(FLUSHED_AT_ONCE).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            paths.chunks(share).map(|share| scope.spawn(move || share.iter().try_for_each(flush))).collect();
        let joined = |thread: std::thread::ScopedJoinHandle<'_, Result<()>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().try_for_each(joined)
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
        StringArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
    use serde_json::Value;

    use crate::testing::{append, lake, query, rows, spec, stamp, write};
    use crate::{KeySet, Lake, Partition, TableName, TableSpec, Transform, WrittenFiles};

    /// One column of each type, with nulls, a NaN, long texts, and keys whose sum needs more than 64 bits.
    fn of_all_types(partition: Transform) -> (TableSpec, RecordBatch) {
        let keys: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, i64::MAX - 1, 3]));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("key", keys),
            ("flag", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
            ("small", Arc::new(Int32Array::from(vec![Some(-5), None, Some(7)]))),
            ("value", Arc::new(Float64Array::from(vec![Some(1.5), Some(-2.5), None]))),
            ("odd", Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(1.0), None]))),
            (
                "price",
                Arc::new(
                    Decimal128Array::from(vec![Some(12345), None, Some(-5)]).with_precision_and_scale(12, 2).unwrap(),
                ),
            ),
            ("text", Arc::new(StringArray::from(vec![Some("ä".repeat(100)), None, Some(String::new())]))),
            ("day", Arc::new(Date32Array::from(vec![Some(-1), Some(400), None]))),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), Some(1_700_000_000_000_000), None]))),
        ];
        let field = |(name, column): &(&str, ArrayRef)| Field::new(*name, column.data_type().clone(), *name != "key");
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let column = if matches!(partition, Transform::Bucket(_)) { "key" } else { "at" };
        let name = TableName::new("kinds", format!("{partition:?}").to_lowercase().replace(['(', ')'], ""));
        let partition = Some(Partition { column: column.to_string(), transform: partition });
        let spec = TableSpec { name, schema, key: vec!["key".into()], sort: vec!["small".into()], partition };
        let batch = RecordBatch::try_new(spec.schema.clone(), columns.into_iter().map(|(_, c)| c).collect()).unwrap();
        (spec, batch)
    }

    async fn lake_of_all_kinds() -> (tempfile::TempDir, Lake) {
        let (folder, lake) = lake().await;
        for partition in [Transform::Identity, Transform::Year, Transform::Month, Transform::Day, Transform::Bucket(4)]
        {
            let (spec, batch) = of_all_types(partition);
            append(&lake, &format!("{partition:?}"), &spec, batch).await;
        }
        append(&lake, "1", &spec("grown"), rows(0..1000)).await;
        let mut wider = spec("grown");
        let more = Field::new("more", DataType::Timestamp(TimeUnit::Microsecond, None), true);
        let fields: Vec<_> = wider.schema.fields().iter().cloned().chain([more.into()]).collect();
        wider.schema = Arc::new(Schema::new(fields));
        append(&lake, "2", &wider, rows(1000..1010)).await;

        append(&lake, "1", &spec("changed"), rows(0..1000)).await;
        append(&lake, "2", &spec("changed"), rows(1000..2000)).await;
        let mut transaction = lake.begin(stamp("3")).await.unwrap();
        let files = write(&mut transaction, &spec("changed"), &[rows([3, 4000])]).await;
        let keys = KeySet::Int64([3, 4, 1500].into());
        transaction.upsert(&spec("changed").name, "id", keys, files).await.unwrap();
        let files = write(&mut transaction, &spec("replaced"), &[rows(0..10)]).await;
        transaction.replace(&spec("replaced").name, files);
        drop(transaction.writer(&spec("empty")).await.unwrap());
        transaction.create_view(&TableName::new("views", "v"), "select 1").await.unwrap();
        transaction.commit().await.unwrap();
        let mut transaction = lake.begin(stamp("4")).await.unwrap();
        drop(transaction.writer(&spec("replaced")).await.unwrap());
        transaction.replace(&spec("replaced").name, WrittenFiles::default());
        transaction.commit().await.unwrap();
        (folder, lake)
    }

    #[tokio::test]
    async fn pyiceberg_and_duckdb_read_what_we_read() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let cache =
            std::env::var("XDG_CACHE_HOME").unwrap_or_else(|_| format!("{}/.cache", std::env::var("HOME").unwrap()));
        let ready = format!("{cache}/healthlake/readers-1/ready");
        if !std::path::Path::new(&ready).exists() && std::env::var_os("HEALTHLAKE_REQUIRE_SHARED").is_none() {
            eprintln!(
                "SKIPPED pyiceberg_and_duckdb_read_what_we_read: {ready} is missing, run scripts/install-readers"
            );
            return;
        }
        let (folder, lake) = lake_of_all_kinds().await;
        let output = Command::new(format!("{root}/scripts/read-with-pyiceberg"))
            .arg(folder.path().join("a lake"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let tables = lake.tables().await.unwrap();
        assert_eq!(tables.len(), 9);
        for reader in ["pyiceberg", "duckdb"] {
            assert_eq!(found[reader].as_object().unwrap().len(), tables.len(), "{reader}");
            for table in &tables {
                let theirs = &found[reader][table.to_string()];
                let rows = query(&lake, &format!("select count(*) from {table}")).await;
                assert_eq!(theirs["rows"].to_string(), rows, "{reader}: {table}");
                for (column, sum) in theirs["sums"].as_object().unwrap() {
                    if column == "odd" {
                        continue;
                    }
                    let (low, high) = (&theirs["minima"][column], &theirs["maxima"][column]);
                    let ours = match sum {
                        Value::String(_) => format!(
                            "cast(sum(cast({column} as decimal(38, 0))) as text), cast(min({column}) as text), cast(max({column}) as text)"
                        ),
                        _ => format!("sum({column}), min({column}), max({column})"),
                    };
                    let ours = query(&lake, &format!("select {ours} from {table}")).await;
                    let plain = |v: &Value| if v.is_null() { String::new() } else { v.to_string().replace('"', "") };
                    let theirs = [sum, low, high].map(plain).join(" ");
                    assert_eq!(theirs.trim(), ours, "{reader}: {table}.{column}");
                }
            }
        }
    }
}
