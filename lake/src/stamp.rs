//! The mark that a commit leaves in the snapshot summaries of its tables, so that it is made once.

use std::collections::BTreeMap;

use iceberg::spec::TableMetadata;

/// Keys of a snapshot summary that make up the stamp.
pub(crate) const RUN_KEY: &str = "pipeline-run-id";
pub(crate) const STAGE_KEY: &str = "pipeline-stage";
pub(crate) const FINGERPRINT_KEY: &str = "input-fingerprint";
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

impl Stamp {
    /// Finds the stamp in a table, and returns the properties that were set at its commit.
    pub(crate) fn find(&self, metadata: &TableMetadata) -> Option<BTreeMap<String, String>> {
        metadata.snapshots().map(|snapshot| &snapshot.summary().additional_properties).find_map(|summary| {
            let equal = |key: &str, value: &String| summary.get(key) == Some(value);
            let same = equal(RUN_KEY, &self.run_id)
                && equal(STAGE_KEY, &self.stage)
                && equal(FINGERPRINT_KEY, &self.fingerprint);
            let own = |(key, value): (&String, &String)| {
                Some((key.strip_prefix(PROPERTY_PREFIX)?.to_string(), value.clone()))
            };
            same.then(|| summary.iter().filter_map(own).collect())
        })
    }
}
