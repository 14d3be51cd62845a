//! The words of trust: checks and their results, rejected and excluded records, and the accounting that must balance.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

/// What kind of question a check asks, in the words of OHDSI's Data Quality Dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Does the data keep to the specification?
    Conformance,
    /// Is everything there?
    Completeness,
    /// Can it be true?
    Plausibility,
}

/// What a failed check means for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A failure makes the run end with exit code 1.
    Required,
    /// A failure is shown and nothing else.
    Advisory,
}

/// One question to the lake, answered by one SQL query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Unique, stable: `isRequired/omop.person.gender_concept_id`.
    pub id: String,
    /// The kind of check: a Data Quality Dashboard name or a model test's name.
    pub name: String,
    /// What kind of question it asks.
    pub category: Category,
    /// What a failure means.
    pub severity: Severity,
    /// `namespace.table`.
    pub table: String,
    /// The column, where the check is about one.
    pub column: Option<String>,
    /// One sentence for the report.
    pub description: String,
    /// The share of violating rows, in percent, above which the check fails; 0 allows none.
    pub threshold_percent: f64,
    /// Yields one row with the columns `row_count` and `violation_count`, both `bigint`.
    pub sql: String,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Violations are within the threshold.
    Passed,
    /// Violations exceed the threshold.
    Failed,
    /// The query could not be answered: the message says why.
    Errored,
    /// There is nothing to look at, such as an empty table.
    NotApplicable,
}

/// A check and what it found. Counts are kept, so that a new threshold needs no new run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The question.
    pub check: Check,
    /// How it ended.
    pub status: Status,
    /// Rows looked at.
    pub row_count: u64,
    /// Rows that violate.
    pub violation_count: u64,
    /// The error of an errored check, or the first differences of an oracle check.
    pub message: Option<String>,
}

impl CheckResult {
    /// Judges the counts of a check against its threshold.
    pub fn judged(check: Check, row_count: u64, violation_count: u64) -> Self {
        let status = if row_count == 0 && violation_count == 0 {
            Status::NotApplicable
        } else if violation_count as f64 * 100.0 > check.threshold_percent * row_count as f64 {
            Status::Failed
        } else {
            Status::Passed
        };
        CheckResult { check, status, row_count, violation_count, message: None }
    }

    /// True when the result must fail the run.
    pub fn fails_run(&self) -> bool {
        self.check.severity == Severity::Required && matches!(self.status, Status::Failed | Status::Errored)
    }
}

/// Where a record stands in the input.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The file as the user named it; `-` is standard input.
    pub file: String,
    /// The line of an NDJSON file or the entry of a Bundle, from 1.
    pub line: u64,
}

/// A record that could not be taken: bad data, kept as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Where the record stands.
    pub origin: Origin,
    /// `Patient`, or empty when it could not be read.
    pub resource_type: String,
    /// The logical id, where there is one.
    pub resource_id: Option<String>,
    /// The element at fault, as a FHIR path such as `Observation.effective[x]`.
    pub field: Option<String>,
    /// A stable word: `invalid_json`, `missing_element`, `unresolved_reference`, …
    pub reason: String,
    /// What was found and what was expected, without the record's content.
    pub detail: String,
}

/// A record that is sound but makes no OMOP row, by rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// Where the record stands.
    pub origin: Origin,
    /// Its resource type.
    pub resource_type: String,
    /// The logical id, where there is one.
    pub resource_id: Option<String>,
    /// A stable word: `no_omop_target`, `status_entered_in_error`, `superseded_version`, …
    pub reason: String,
    /// The value that decided, such as the status.
    pub detail: String,
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
        self.by_type.values().fold(Counts::default(), |sum, counts| Counts {
            read: sum.read + counts.read,
            mapped: sum.mapped + counts.mapped,
            excluded: sum.excluded + counts.excluded,
            rejected: sum.rejected + counts.rejected,
        })
    }

    /// Adds the counts of another part of the same run.
    pub fn merge(&mut self, other: &Accounting) {
        for (resource_type, counts) in &other.by_type {
            let sum = self.of(resource_type);
            sum.read += counts.read;
            sum.mapped += counts.mapped;
            sum.excluded += counts.excluded;
            sum.rejected += counts.rejected;
        }
    }

    /// True when no type lost a record.
    pub fn balances(&self) -> bool {
        self.by_type.values().all(Counts::balances)
    }
}

/// A table of the namespace `quality`: its name and Arrow schema.
pub struct QualityTable {
    /// Name without the namespace.
    pub name: &'static str,
    columns: &'static [(&'static str, DataType, bool)],
}

impl QualityTable {
    /// The Arrow schema.
    pub fn schema(&self) -> SchemaRef {
        let fields =
            self.columns.iter().map(|(name, data_type, required)| Field::new(*name, data_type.clone(), !required));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// One row per run: what ran, with which policies and vocabulary, and how it ended.
pub const RUN: QualityTable = QualityTable {
    name: "run",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("started_at", TIMESTAMP, true),
        ("ended_at", TIMESTAMP, true),
        ("status", DataType::Utf8, true),
        ("software_version", DataType::Utf8, true),
        ("cdm_version", DataType::Utf8, true),
        ("vocabulary_version", DataType::Utf8, false),
        ("policy", DataType::Utf8, false),
        ("read_count", DataType::Int64, true),
        ("mapped_count", DataType::Int64, true),
        ("excluded_count", DataType::Int64, true),
        ("rejected_count", DataType::Int64, true),
        ("checks_passed", DataType::Int64, true),
        ("checks_failed", DataType::Int64, true),
        ("guide_version", DataType::Utf8, false),
    ],
};

/// One row per check and run.
pub const CHECK_RESULT: QualityTable = QualityTable {
    name: "check_result",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("check_id", DataType::Utf8, true),
        ("check_name", DataType::Utf8, true),
        ("category", DataType::Utf8, true),
        ("severity", DataType::Utf8, true),
        ("table_name", DataType::Utf8, true),
        ("column_name", DataType::Utf8, false),
        ("description", DataType::Utf8, true),
        ("threshold_percent", DataType::Float64, true),
        ("row_count", DataType::Int64, true),
        ("violation_count", DataType::Int64, true),
        ("status", DataType::Utf8, true),
        ("message", DataType::Utf8, false),
    ],
};

/// One row per [`Reject`].
pub const REJECTED: QualityTable = QualityTable {
    name: "rejected",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("source_id", DataType::Utf8, true),
        ("file", DataType::Utf8, true),
        ("line", DataType::Int64, true),
        ("resource_type", DataType::Utf8, true),
        ("resource_id", DataType::Utf8, false),
        ("field", DataType::Utf8, false),
        ("reason", DataType::Utf8, true),
        ("detail", DataType::Utf8, true),
    ],
};

/// One row per [`Exclusion`].
pub const EXCLUSION: QualityTable = QualityTable {
    name: "exclusion",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("source_id", DataType::Utf8, true),
        ("file", DataType::Utf8, true),
        ("line", DataType::Int64, true),
        ("resource_type", DataType::Utf8, true),
        ("resource_id", DataType::Utf8, false),
        ("reason", DataType::Utf8, true),
        ("detail", DataType::Utf8, true),
    ],
};

/// One row per run, OMOP table, code system and code: how often it was met and whether it has a standard concept.
pub const MAPPING_COVERAGE: QualityTable = QualityTable {
    name: "mapping_coverage",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("source_id", DataType::Utf8, true),
        ("element", DataType::Utf8, true),
        ("code_system", DataType::Utf8, false),
        ("code", DataType::Utf8, false),
        ("display", DataType::Utf8, false),
        ("concept_id", DataType::Int32, true),
        ("record_count", DataType::Int64, true),
    ],
};

/// One row per run, element and reason: what mapped resources said that no column could take.
pub const LOSS: QualityTable = QualityTable {
    name: "loss",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("source_id", DataType::Utf8, true),
        ("element", DataType::Utf8, true),
        ("reason", DataType::Utf8, true),
        ("record_count", DataType::Int64, true),
        ("has_residual_row", DataType::Boolean, true),
    ],
};

/// One row per run, element, code and kind: what is odd about the vocabulary, seen from the codes of the input.
pub const ANOMALY: QualityTable = QualityTable {
    name: "anomaly",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("source_id", DataType::Utf8, true),
        ("kind", DataType::Utf8, true),
        ("element", DataType::Utf8, true),
        ("code_system", DataType::Utf8, false),
        ("code", DataType::Utf8, false),
        ("display", DataType::Utf8, false),
        ("source_concept_id", DataType::Int32, false),
        ("target_concept_ids", DataType::Utf8, false),
        ("detail", DataType::Utf8, true),
        ("record_count", DataType::Int64, true),
        ("vocabulary_version", DataType::Utf8, true),
    ],
};

/// One row per run and concept that the project's own tables name: is it, in the loaded vocabulary, what they say?
pub const CONCEPT_CHECK: QualityTable = QualityTable {
    name: "concept_check",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("vocabulary_version", DataType::Utf8, true),
        ("named_by", DataType::Utf8, true),
        ("concept_id", DataType::Int32, true),
        ("expected_name", DataType::Utf8, true),
        ("found_name", DataType::Utf8, false),
        ("expected_domain", DataType::Utf8, true),
        ("found_domain", DataType::Utf8, false),
        ("expected_standard", DataType::Boolean, true),
        ("found_standard", DataType::Boolean, false),
        ("status", DataType::Utf8, true),
    ],
};

/// One row per run, source and resource type: the [`Counts`].
pub const ACCOUNTING: QualityTable = QualityTable {
    name: "accounting",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("source_id", DataType::Utf8, true),
        ("resource_type", DataType::Utf8, true),
        ("read_count", DataType::Int64, true),
        ("mapped_count", DataType::Int64, true),
        ("excluded_count", DataType::Int64, true),
        ("rejected_count", DataType::Int64, true),
    ],
};

/// One row per OMOP row: the resource and version that it was made from.
pub const CROSSWALK: QualityTable = QualityTable {
    name: "crosswalk",
    columns: &[
        ("omop_table", DataType::Utf8, true),
        ("omop_id", DataType::Int64, true),
        ("source_id", DataType::Utf8, true),
        ("resource_type", DataType::Utf8, true),
        ("resource_id", DataType::Utf8, true),
        ("version_id", DataType::Utf8, false),
        ("part", DataType::Utf8, true),
        ("pipeline_run_id", DataType::Utf8, true),
        // The key that the flat tables have for the resource, too.
        ("resource_key", DataType::Int64, true),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    fn check(threshold_percent: f64) -> Check {
        Check {
            id: "c".into(),
            name: "isRequired".into(),
            category: Category::Conformance,
            severity: Severity::Required,
            table: "omop.person".into(),
            column: None,
            description: String::new(),
            threshold_percent,
            sql: String::new(),
        }
    }

    #[test]
    fn a_threshold_is_the_last_share_that_passes() {
        assert_eq!(CheckResult::judged(check(0.0), 10, 0).status, Status::Passed);
        assert_eq!(CheckResult::judged(check(0.0), 10, 1).status, Status::Failed);
        assert_eq!(CheckResult::judged(check(10.0), 10, 1).status, Status::Passed);
        assert_eq!(CheckResult::judged(check(10.0), 10, 2).status, Status::Failed);
        assert_eq!(CheckResult::judged(check(0.0), 0, 0).status, Status::NotApplicable);
    }

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
