//! Makes the next snapshot of a table: manifests, manifest list, metadata file. Nothing here is visible to readers
//! before the catalog's pointer moves, so all of it can be made again on a newer base.

use std::collections::BTreeMap;
use std::sync::Arc;

use iceberg::io::FileIO;
use iceberg::spec::{
    FormatVersion, MAIN_BRANCH, PartitionSpec, Schema, Snapshot, SortOrder, TableMetadata, TableMetadataRef,
};
use iceberg::{Error as IcebergError, MetadataLocation, TableRequirement, TableUpdate};
use uuid::Uuid;

use crate::litter::Litter;
use crate::manifest::Producer;
use crate::plan::Plan;
use crate::summary::summary;
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
    pub row_count: u64,
    /// Urls of the files that were written for it.
    pub written: Vec<String>,
    /// How the base became this,
    pub updates: Vec<TableUpdate>,
    /// and what the base must be for that.
    pub requirements: Vec<TableRequirement>,
}

/// What all tables of one commit have in common.
pub(crate) struct Write<'a> {
    pub files: &'a FileIO,
    pub litter: &'a Litter,
    /// Goes into every snapshot summary.
    pub properties: &'a BTreeMap<String, String>,
    pub timestamp_ms: i64,
    /// Whether the catalog writes the metadata files itself, from updates.
    pub by_updates: bool,
}

/// Applies an evolution to metadata, without a snapshot.
pub(crate) fn evolved(base: &Base, evolution: Option<&Evolution>) -> Result<TableMetadata, IcebergError> {
    Ok(evolve(base, evolution)?.0)
}

fn evolve(base: &Base, evolution: Option<&Evolution>) -> Result<(TableMetadata, Vec<TableUpdate>), IcebergError> {
    let metadata = TableMetadata::clone(&base.metadata);
    let Some(evolution) = evolution else { return Ok((metadata, Vec::new())) };
    let mut builder = metadata.into_builder(base.location.clone()).add_current_schema(evolution.schema.clone())?;
    if let Some(order) = &evolution.sort_order {
        builder = builder.add_sort_order(order.clone())?.set_default_sort_order(-1)?;
    }
    let built = builder.build()?;
    Ok((built.metadata, built.changes))
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
    let (current, mut updates) = evolve(base, evolution).map_err(making())?;
    let mut producer = Producer {
        files: write.files,
        litter: write.litter,
        table,
        folder: format!("{}/metadata", current.location()),
        data_folder: format!("{}/data", current.location()),
        commit: Uuid::now_v7(),
        snapshot_id: new_snapshot_id(metadata),
        schema: current.current_schema().clone(),
        spec: PartitionSpec::clone(current.default_partition_spec()),
        written: Vec::new(),
        added: Totals::default(),
        removed: Totals::default(),
    };
    let manifests = producer.manifests(metadata, plan).await?;
    let before = match metadata.current_snapshot() {
        Some(parent) => totals_of(write.files, table, metadata, parent).await?,
        None => Totals::default(),
    };
    let removed = if plan.all { before } else { producer.removed };
    let totals = before.after(&producer.added, &removed);
    let summary = summary(write.properties, plan.only_adds(), &producer.added, &removed, &totals);
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
    let built = built.map_err(making())?;
    let next = built.metadata;
    let location = next_location(base.location.as_deref(), &next).map_err(making())?;
    updates.extend(built.changes);
    if !write.by_updates {
        producer.note(&location.to_string());
        next.write_to(write.files, &location).await.map_err(Error::metadata(table, "written"))?;
    }
    if base.location.is_none() {
        updates.splice(..0, creation(metadata));
    }
    Ok(Produced {
        requirements: requirements(base, evolution),
        updates,
        location: location.to_string(),
        metadata: Arc::new(next),
        snapshot_id: producer.snapshot_id,
        row_count: totals.row_count(),
        written: producer.written,
    })
}

/// The updates that make a table of nothing.
fn creation(metadata: &TableMetadata) -> Vec<TableUpdate> {
    vec![
        TableUpdate::AssignUuid { uuid: metadata.uuid() },
        TableUpdate::UpgradeFormatVersion { format_version: metadata.format_version() },
        TableUpdate::SetLocation { location: metadata.location().to_string() },
        TableUpdate::AddSchema { schema: Schema::clone(metadata.current_schema()) },
        TableUpdate::SetCurrentSchema { schema_id: -1 },
        TableUpdate::AddSpec { spec: PartitionSpec::clone(metadata.default_partition_spec()).into_unbound() },
        TableUpdate::SetDefaultSpec { spec_id: -1 },
        TableUpdate::AddSortOrder { sort_order: SortOrder::clone(metadata.default_sort_order()) },
        TableUpdate::SetDefaultSortOrder { sort_order_id: -1 },
        TableUpdate::SetProperties { updates: metadata.properties().clone() },
    ]
}

/// What must hold for the next state to follow on the base: the same table, at the same snapshot, with the same
/// columns where columns are added.
fn requirements(base: &Base, evolution: Option<&Evolution>) -> Vec<TableRequirement> {
    let metadata = &base.metadata;
    if base.location.is_none() {
        return vec![TableRequirement::NotExist];
    }
    let snapshot_id = metadata.current_snapshot_id();
    let mut requirements = vec![
        TableRequirement::UuidMatch { uuid: metadata.uuid() },
        TableRequirement::RefSnapshotIdMatch { r#ref: MAIN_BRANCH.to_string(), snapshot_id },
        TableRequirement::CurrentSchemaIdMatch { current_schema_id: metadata.current_schema_id() },
        TableRequirement::DefaultSpecIdMatch { default_spec_id: metadata.default_partition_spec_id() },
    ];
    if evolution.is_some() {
        let last_assigned_field_id = metadata.last_column_id();
        requirements.push(TableRequirement::LastAssignedFieldIdMatch { last_assigned_field_id });
    }
    requirements
}

/// Names the metadata file of a table's next state.
pub(crate) fn next_location(base: Option<&str>, next: &TableMetadata) -> Result<MetadataLocation, IcebergError> {
    match base {
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
