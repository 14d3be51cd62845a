//! The mark that a commit leaves in the snapshot summaries of its tables, so that it is made once.

use std::collections::BTreeMap;

use iceberg::spec::{Snapshot, TableMetadata};

/// Keys of a snapshot summary that make up the stamp.
pub(crate) const RUN_KEY: &str = "pipeline-run-id";
pub(crate) const STAGE_KEY: &str = "pipeline-stage";
pub(crate) const FINGERPRINT_KEY: &str = "input-fingerprint";
/// Of how many tables a commit consists whose tables were moved one by one.
pub(crate) const TABLES_KEY: &str = "pipeline-tables-in-turn";
/// Prefix of the properties that the caller sets.
pub(crate) const PROPERTY_PREFIX: &str = "healthlake.";

/// Says who commits what: the same stamp is committed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The run.
    pub run_id: String,
    /// The stage of the run, for instance `etl` or `sql:marts.person`.
    pub stage: String,
    /// Fingerprint of the stage's input.
    pub fingerprint: String,
}

/// What a stamp was found in.
#[derive(Debug)]
pub(crate) struct Found {
    pub snapshot_id: i64,
    /// The properties that were set at the commit.
    pub properties: BTreeMap<String, String>,
    /// How many tables bear the stamp when the commit is complete; none when it was made at once.
    pub tables: Option<usize>,
}

impl Stamp {
    /// The stamp of a snapshot whose commit moves its tables one by one.
    pub(crate) fn of_part(snapshot: &Snapshot) -> Option<Stamp> {
        let summary = &snapshot.summary().additional_properties;
        summary.get(TABLES_KEY)?;
        let value = |key: &str| summary.get(key).cloned();
        Some(Stamp { run_id: value(RUN_KEY)?, stage: value(STAGE_KEY)?, fingerprint: value(FINGERPRINT_KEY)? })
    }

    /// Finds the stamp in what a table's state has come from. A snapshot that was taken back is not part of that.
    pub(crate) fn find(&self, metadata: &TableMetadata) -> Option<Found> {
        let mut next = metadata.current_snapshot();
        while let Some(snapshot) = next {
            let summary = &snapshot.summary().additional_properties;
            let equal = |key: &str, value: &String| summary.get(key) == Some(value);
            if equal(RUN_KEY, &self.run_id)
                && equal(STAGE_KEY, &self.stage)
                && equal(FINGERPRINT_KEY, &self.fingerprint)
            {
                let own = |(key, value): (&String, &String)| {
                    Some((key.strip_prefix(PROPERTY_PREFIX)?.to_string(), value.clone()))
                };
                return Some(Found {
                    snapshot_id: snapshot.snapshot_id(),
                    properties: summary.iter().filter_map(own).collect(),
                    tables: summary.get(TABLES_KEY).and_then(|tables| tables.parse().ok()),
                });
            }
            next = snapshot.parent_snapshot_id().and_then(|parent| metadata.snapshot_by_id(parent));
        }
        None
    }
}
