//! What the mapping owes: of each resource that is written, whether it must be mapped, excluded or rejected, and why.

use std::collections::BTreeMap;

use model::quality::{Accounting, UNREADABLE};
use serde::Serialize;

use crate::dirt::Kind;

/// Counts of what the mapping must do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Account {
    /// Read, mapped, excluded and rejected by resource type.
    #[serde(flatten)]
    pub accounting: Accounting,
    /// Excluded resources by `Type reason`.
    pub exclusions: BTreeMap<String, u64>,
    /// Rejected records by `Type reason`.
    pub rejections: BTreeMap<String, u64>,
    /// Resources that were spoiled, by kind of dirt and resource type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dirt: BTreeMap<&'static str, BTreeMap<String, u64>>,
}

impl Account {
    /// Counts a resource that makes rows.
    pub(crate) fn map(&mut self, resource_type: &str) {
        let counts = self.accounting.of(resource_type);
        counts.read += 1;
        counts.mapped += 1;
    }

    /// Counts a resource that is left out.
    pub(crate) fn exclude(&mut self, resource_type: &str, reason: &str) {
        let counts = self.accounting.of(resource_type);
        counts.read += 1;
        counts.excluded += 1;
        *self.exclusions.entry(format!("{resource_type} {reason}")).or_default() += 1;
    }

    /// Counts a resource that is refused; nobody can tell the type of a line that ends in the middle.
    pub(crate) fn reject(&mut self, resource_type: &str, reason: &str) {
        let resource_type = if reason == "invalid_json" { UNREADABLE } else { resource_type };
        let counts = self.accounting.of(resource_type);
        counts.read += 1;
        counts.rejected += 1;
        *self.rejections.entry(format!("{resource_type} {reason}")).or_default() += 1;
    }

    /// Counts a resource that is spoiled.
    pub(crate) fn spoil(&mut self, kind: Kind, resource_type: &str) {
        *self.dirt.entry(kind.name()).or_default().entry(resource_type.to_owned()).or_default() += 1;
    }

    /// Adds the counts of another piece.
    pub(crate) fn merge(&mut self, other: Account) {
        self.accounting.merge(&other.accounting);
        for (sums, counts) in [(&mut self.exclusions, other.exclusions), (&mut self.rejections, other.rejections)] {
            for (key, count) in counts {
                *sums.entry(key).or_default() += count;
            }
        }
        for (kind, types) in other.dirt {
            let sums = self.dirt.entry(kind).or_default();
            for (resource_type, count) in types {
                *sums.entry(resource_type).or_default() += count;
            }
        }
    }
}
