//! Writes the manifests of a snapshot: keeps those that are not touched, rewrites those that are, adds what is new.

use std::path::PathBuf;

use iceberg::Error as IcebergError;
use iceberg::io::FileIO;
use iceberg::spec::{
    ManifestContentType, ManifestEntryRef, ManifestFile, ManifestListWriter, ManifestWriter, ManifestWriterBuilder,
    PartitionSpec, SchemaRef, TableMetadata,
};
use uuid::Uuid;

use crate::litter::Litter;
use crate::live::manifest_files;
use crate::location::path_of;
use crate::plan::Plan;
use crate::totals::Totals;
use crate::{Error, Result, TableName};

/// So many manifests are merged into one.
const MANIFESTS_TO_MERGE: usize = 64;

/// Writes the metadata files of one snapshot.
pub(crate) struct Producer<'a> {
    pub files: &'a FileIO,
    pub litter: &'a Litter,
    pub table: &'a TableName,
    pub folder: String,
    pub commit: Uuid,
    pub snapshot_id: i64,
    pub schema: SchemaRef,
    pub spec: PartitionSpec,
    pub written: Vec<PathBuf>,
    pub removed: Totals,
}

impl Producer<'_> {
    /// Notes a file before it is written.
    pub fn note(&mut self, url: &str) {
        let path = path_of(url);
        self.litter.add(&path);
        self.written.push(path);
    }

    /// Goes through the manifests of the base: keeps what is not touched, rewrites what is, adds what is new.
    pub async fn manifests(&mut self, base: &TableMetadata, plan: &Plan) -> Result<Vec<ManifestFile>> {
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

    /// Writes the list of the manifests; returns its url.
    pub async fn manifest_list(&mut self, base: &TableMetadata, manifests: Vec<ManifestFile>) -> Result<String> {
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
