//! The words of trust: checks and their results, rejected and excluded records, and the accounting that must balance.

mod check;
mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use check::{Category, Check, CheckResult, Severity, Status};
pub use table::{
    ACCOUNTING, ANOMALY, CHECK_RESULT, CONCEPT_CHECK, CROSSWALK, EXCLUSION, LOSS, MAPPING_COVERAGE, QualityTable,
    REJECTED, RUN,
};

/// Where a record stands in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'r> {
    /// The file as the user named it; `-` is standard input.
    pub file: &'r str,
    /// The line of an NDJSON file or the entry of a Bundle, from 1.
    pub line: u64,
}

/// A record that could not be taken: bad data, kept as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject<'r> {
    /// Where the record stands.
    pub origin: Origin<'r>,
    /// `Patient`, or empty when it could not be read.
    pub resource_type: &'r str,
    /// The logical id, where there is one.
    pub resource_id: Option<&'r str>,
    /// The element at fault, as a FHIR path such as `Observation.effective[x]`.
    pub field: Option<&'r str>,
    /// A stable word: `invalid_json`, `missing_element`, `unresolved_reference`, …
    pub reason: &'r str,
    /// What was found and what was expected, without the record's content.
    pub detail: &'r str,
}

/// A record that is sound but makes no OMOP row, by rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exclusion<'r> {
    /// Where the record stands.
    pub origin: Origin<'r>,
    /// Its resource type.
    pub resource_type: &'r str,
    /// The logical id, where there is one.
    pub resource_id: Option<&'r str>,
    /// A stable word: `no_omop_target`, `status_entered_in_error`, `superseded_version`, …
    pub reason: &'r str,
    /// The value that decided, such as the status.
    pub detail: &'r str,
}

/// Resources of one type: `read = mapped + excluded + rejected`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Resources found in the input.
    pub read: u64,
    /// Resources that are in the OMOP tables, written now or unchanged since an earlier run.
    pub mapped: u64,
    /// Sound resources that make no row, by rule.
    pub excluded: u64,
    /// Resources that could not be taken.
    pub rejected: u64,
}

impl Counts {
    /// Adds other counts of the same kind.
    pub fn add(&mut self, other: &Counts) {
        self.read += other.read;
        self.mapped += other.mapped;
        self.excluded += other.excluded;
        self.rejected += other.rejected;
    }

    /// True when nothing was lost.
    pub fn balances(&self) -> bool {
        self.read == self.mapped + self.excluded + self.rejected
    }
}

/// The implementation guide that the mapping follows, with its version.
pub const GUIDE: &str = "HL7 FHIR to OMOP 2.0.0-ballot";

/// Resource type under which records are counted whose type cannot be told.
pub const UNREADABLE: &str = "(unreadable)";

/// The accounting of a run, by resource type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounting {
    /// Counts by resource type; records whose type cannot be told count under [`UNREADABLE`].
    pub by_type: BTreeMap<String, Counts>,
}

impl Accounting {
    /// The counts of one type, to add to.
    pub fn of(&mut self, resource_type: &str) -> &mut Counts {
        if !self.by_type.contains_key(resource_type) {
            self.by_type.insert(resource_type.to_owned(), Counts::default());
        }
        self.by_type.get_mut(resource_type).expect("inserted above")
    }

    /// The sum over all types.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.by_type.values().for_each(|counts| total.add(counts));
        total
    }

    /// Adds the counts of another part of the same run.
    pub fn merge(&mut self, other: &Accounting) {
        for (resource_type, counts) in &other.by_type {
            self.of(resource_type).add(counts);
        }
    }

    /// True when no type lost a record.
    pub fn balances(&self) -> bool {
        self.by_type.values().all(Counts::balances)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounting_balances_only_when_every_type_does() {
        let mut accounting = Accounting::default();
        *accounting.of("Patient") = Counts { read: 2, mapped: 1, excluded: 0, rejected: 1 };
        assert!(accounting.balances());
        accounting.of("Claim").read = 1;
        accounting.of("Device").mapped = 1;
        assert!(!accounting.balances());
        assert_eq!(accounting.total().read, 3);
    }
}
