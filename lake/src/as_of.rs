//! Which snapshot of each table belongs to a moment of the lake.

use std::collections::BTreeMap;

use iceberg::spec::{SnapshotRef, TableMetadata, TableMetadataRef};

use crate::stamp::{RUN_KEY, STAGE_KEY};
use crate::{AsOf, Error, Result, Snapshot, TableName};

/// Picks each table's snapshot; a table that did not exist at the moment is left out.
pub(crate) fn pick(
    as_of: &AsOf,
    tables: &BTreeMap<TableName, TableMetadataRef>,
) -> Result<BTreeMap<TableName, SnapshotRef>> {
    let moment = match as_of {
        AsOf::Latest => {
            let current = |(table, metadata): (&TableName, &TableMetadataRef)| {
                Some((table.clone(), metadata.current_snapshot()?.clone()))
            };
            return Ok(tables.iter().filter_map(current).collect());
        }
        AsOf::Snapshot(id) => tables
            .values()
            .find_map(|metadata| metadata.snapshot_by_id(*id))
            .map(|snapshot| snapshot.timestamp_ms())
            .ok_or(Error::NoSuchSnapshot(*id))?,
        AsOf::Run(run) => tables
            .values()
            .flat_map(|metadata| metadata.snapshots())
            .filter(|snapshot| run_of(snapshot) == Some(run))
            .map(|snapshot| snapshot.timestamp_ms())
            .max()
            .ok_or_else(|| Error::NoSuchRun(run.clone()))?,
    };
    let at_moment = |metadata: &TableMetadata| {
        let own = match as_of {
            AsOf::Snapshot(id) => metadata.snapshot_by_id(*id).cloned(),
            AsOf::Run(run) => metadata
                .snapshots()
                .filter(|snapshot| run_of(snapshot) == Some(run))
                .max_by_key(|snapshot| snapshot.sequence_number())
                .cloned(),
            AsOf::Latest => None,
        };
        own.or_else(|| {
            // The log, not the list: a snapshot that was rolled back was never the table's state later on.
            let logged = metadata.history().iter().rfind(|entry| entry.timestamp_ms() <= moment)?;
            metadata.snapshot_by_id(logged.snapshot_id).cloned()
        })
    };
    Ok(tables.iter().filter_map(|(table, metadata)| Some((table.clone(), at_moment(metadata)?))).collect())
}

fn run_of(snapshot: &SnapshotRef) -> Option<&String> {
    snapshot.summary().additional_properties.get(RUN_KEY)
}

/// Lists a table's snapshots, oldest first.
pub(crate) fn history(metadata: &TableMetadata) -> Vec<Snapshot> {
    let mut snapshots: Vec<&SnapshotRef> = metadata.snapshots().collect();
    snapshots.sort_by_key(|snapshot| (snapshot.sequence_number(), snapshot.timestamp_ms()));
    snapshots
        .into_iter()
        .map(|snapshot| {
            let summary = &snapshot.summary().additional_properties;
            Snapshot {
                id: snapshot.snapshot_id(),
                timestamp_ms: snapshot.timestamp_ms(),
                operation: snapshot.summary().operation.as_str().to_string(),
                run_id: summary.get(RUN_KEY).cloned(),
                stage: summary.get(STAGE_KEY).cloned(),
                summary: summary.clone().into_iter().collect(),
            }
        })
        .collect()
}
