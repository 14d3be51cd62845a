//! Writes the manifests of a snapshot: keeps those that are not touched, rewrites those that are, adds what is new.

use std::collections::{BTreeMap, HashMap};

use iceberg::Error as IcebergError;
use iceberg::io::FileIO;
use iceberg::spec::{
    DataFile, ManifestContentType, ManifestEntryRef, ManifestFile, ManifestListWriter, ManifestWriter,
    ManifestWriterBuilder, PartitionSpec, SchemaRef, Struct, TableMetadata,
};
use uuid::Uuid;

use crate::litter::Litter;
use crate::live::manifest_files;
use crate::plan::Plan;
use crate::position_delete::{DeletedRows, Deletes, describe, encode};
use crate::store::shown;
use crate::totals::Totals;
use crate::{Error, Result, TableName};

/// So many manifests are merged into one.
const MANIFESTS_TO_MERGE: usize = 64;

/// Writes the metadata files of one snapshot.
pub(crate) struct Producer<'a> {
    pub files: &'a FileIO,
    pub litter: &'a Litter,
    pub table: &'a TableName,
    /// Folder of the metadata files, as url.
    pub folder: String,
    /// Folder of the data files and their deletes, as url.
    pub data_folder: String,
    pub commit: Uuid,
    pub snapshot_id: i64,
    pub schema: SchemaRef,
    pub spec: PartitionSpec,
    /// Urls of the files that were written.
    pub written: Vec<String>,
    pub added: Totals,
    pub removed: Totals,
}

impl Producer<'_> {
    /// Notes a file before it is written.
    pub fn note(&mut self, url: &str) {
        self.litter.add(url);
        self.written.push(url.to_string());
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
            let writer = self.manifest_writer(self.schema.clone(), self.spec.clone(), ManifestContentType::Data)?;
            manifests.push(self.add_files(writer, &plan.add).await?);
        }
        for (spec_id, files) in self.delete_files(plan.deletes.as_ref()).await? {
            let writer = self.manifest_writer_of(spec_id, base, ManifestContentType::Deletes)?;
            manifests.push(self.add_files(writer, &files).await?);
        }
        Ok(manifests)
    }

    async fn add_files(&mut self, mut writer: ManifestWriter, files: &[DataFile]) -> Result<ManifestFile> {
        for file in files {
            self.added.add(file);
            // The sequence number is inherited from the snapshot.
            writer.add_file(file.clone(), -1).map_err(Error::metadata(self.table, "made"))?;
        }
        self.finish(writer).await
    }

    /// Writes the deletes, one file per partition; returns the files by partition spec.
    async fn delete_files(&mut self, deletes: Option<&Deletes>) -> Result<BTreeMap<i32, Vec<DataFile>>> {
        let mut parts: Vec<Vec<(&String, &DeletedRows)>> = Vec::new();
        let mut places: HashMap<(i32, &Struct), usize> = HashMap::new();
        for (path, rows) in deletes.into_iter().flatten() {
            let place = *places.entry((rows.partition_spec_id, &rows.partition)).or_insert(parts.len());
            match parts.get_mut(place) {
                Some(part) => part.push((path, rows)),
                None => parts.push(vec![(path, rows)]),
            }
        }
        let mut written: BTreeMap<i32, Vec<DataFile>> = BTreeMap::new();
        for (part, number) in parts.into_iter().zip(0..) {
            let url = format!("{}/{}-{number}-deletes.parquet", self.data_folder, self.commit);
            self.note(&url);
            let bytes = encode(&part).map_err(Error::parquet(&shown(&url), "written"))?;
            let file = describe(url.clone(), bytes.len(), &part).map_err(Error::metadata(self.table, "made"))?;
            let output = self.files.new_output(&url).map_err(Error::metadata(self.table, "written"))?;
            output.write(bytes.into()).await.map_err(Error::metadata(self.table, "written"))?;
            written.entry(part[0].1.partition_spec_id).or_default().push(file);
        }
        Ok(written)
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
        if plan.only_adds() {
            carried.push(manifest);
            return Ok(());
        }
        let loaded = manifest.load_manifest(self.files).await.map_err(Error::metadata(self.table, "read"))?;
        let live: Vec<ManifestEntryRef> = loaded.entries().iter().filter(|entry| entry.is_alive()).cloned().collect();
        let goes = |file: &DataFile| match manifest.content {
            ManifestContentType::Data => plan.removes(file),
            ManifestContentType::Deletes => plan.removes_deletes(file),
        };
        if !live.iter().any(|entry| goes(entry.data_file())) {
            carried.push(manifest);
            return Ok(());
        }
        let mut writer = self.manifest_writer_like(&manifest, base)?;
        for entry in &live {
            let file = entry.data_file();
            if goes(file) {
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
        self.manifest_writer_of(manifest.partition_spec_id, base, manifest.content)
    }

    fn manifest_writer_of(
        &mut self,
        spec_id: i32,
        base: &TableMetadata,
        content: ManifestContentType,
    ) -> Result<ManifestWriter> {
        let spec = base.partition_spec_by_id(spec_id).map_or(&self.spec, |spec| spec.as_ref());
        // Manifests written before columns were dropped may be partitioned by one of them.
        let schema = std::iter::once(&self.schema)
            .chain(base.schemas_iter())
            .find(|schema| spec.partition_type(schema).is_ok())
            .unwrap_or(&self.schema);
        self.manifest_writer(schema.clone(), spec.clone(), content)
    }

    fn manifest_writer(
        &mut self,
        schema: SchemaRef,
        spec: PartitionSpec,
        content: ManifestContentType,
    ) -> Result<ManifestWriter> {
        let url = format!("{}/{}-m{}.avro", self.folder, self.commit, self.written.len());
        self.note(&url);
        let output = self.files.new_output(url).map_err(Error::metadata(self.table, "written"))?;
        let builder = ManifestWriterBuilder::new(output, Some(self.snapshot_id), schema, spec);
        Ok(match content {
            ManifestContentType::Data => builder.build_v2_data(),
            ManifestContentType::Deletes => builder.build_v2_deletes(),
        })
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
