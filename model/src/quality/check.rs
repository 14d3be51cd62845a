//! Checks and their results.

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
}
