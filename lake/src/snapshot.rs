//! Makes the next snapshot of a table: manifests, manifest list, metadata file. Nothing here is visible to readers
//! before the catalog's pointer moves, so all of it can be made again on a newer base.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use iceberg::io::FileIO;
use iceberg::spec::{
    FormatVersion, MAIN_BRANCH, Operation, PartitionSpec, Schema, Snapshot, SortOrder, Summary, TableMetadata,
    TableMetadataRef,
};
use iceberg::{Error as IcebergError, MetadataLocation};
use uuid::Uuid;

use crate::litter::Litter;
use crate::manifest::Producer;
use crate::plan::Plan;
use crate::totals::{Totals, totals_of};
use crate::{Error, Result, TableName};

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

impl Producer<'_> {
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
