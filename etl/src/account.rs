//! What became of each record: the counts that must balance, and the codes that were looked up.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray};
use model::document::mix;
use model::quality::{ACCOUNTING, ANOMALY, Accounting, LOSS, MAPPING_COVERAGE};
use xxhash_rust::xxh3::xxh3_64;

use crate::by_hash::ByHash;
use crate::error::{Error, Result};
use crate::map::{Coverage, Loss};
use crate::vocabulary::{Finding, Vocabulary};

/// The account of a run, or of one worker's share of it.
#[derive(Default)]
pub struct Account {
    /// Read, mapped, excluded and rejected by resource type.
    pub accounting: Accounting,
    /// Counts by resource type and reason.
    pub exclusions: BTreeMap<String, u64>,
    /// Counts by resource type and reason.
    pub rejections: BTreeMap<String, u64>,
    /// Counts by element and reason.
    pub losses: BTreeMap<String, u64>,
    /// Resources that are as an earlier run left them.
    pub unchanged: u64,
    coverage: ByHash<u64, Code>,
}

struct Code {
    element: &'static str,
    system: Option<Box<str>>,
    code: Option<Box<str>>,
    display: Option<Box<str>>,
    concept_id: i32,
    count: u64,
}

impl Account {
    /// Counts an excluded resource.
    pub fn exclude(&mut self, resource_type: &str, reason: &str) {
        self.accounting.of(resource_type).excluded += 1;
        count(&mut self.exclusions, resource_type, reason, 1);
    }

    /// Counts a rejected record.
    pub fn reject(&mut self, resource_type: &str, reason: &str) {
        self.accounting.of(resource_type).rejected += 1;
        count(&mut self.rejections, resource_type, reason, 1);
    }

    /// Counts what a mapped resource lost.
    pub fn lose(&mut self, losses: &[Loss]) {
        for loss in losses {
            count(&mut self.losses, loss.element, loss.reason, 1);
        }
    }

    /// Counts something that was lost several times.
    pub fn lose_many(&mut self, element: &str, reason: &str, times: u64) {
        if times > 0 {
            count(&mut self.losses, element, reason, times);
        }
    }

    /// Counts a value that a flat table could not take as it is.
    pub fn lose_in_view(&mut self, view: &str, column: Option<&str>, reason: &str) {
        let column = column.map_or(String::new(), |column| format!(".{column}"));
        count(&mut self.losses, &format!("fhir.{view}{column}"), reason, 1);
    }

    /// Counts a code.
    pub fn cover(&mut self, coverage: &Coverage<'_>) {
        let hash = |text: Option<&str>| text.map_or(0, |text| xxh3_64(text.as_bytes()));
        let key = mix(xxh3_64(coverage.element.as_bytes()), hash(coverage.system.as_deref()));
        let key = mix(mix(key, hash(coverage.code.as_deref())), coverage.concept_id as u64);
        let own = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(Into::into);
        let code = self.coverage.entry(key).or_insert_with(|| Code {
            element: coverage.element,
            system: own(&coverage.system),
            code: own(&coverage.code),
            display: own(&coverage.display),
            concept_id: coverage.concept_id,
            count: 0,
        });
        code.count += 1;
    }

    /// Adds the account of another worker.
    pub fn merge(&mut self, other: Account) {
        self.accounting.merge(&other.accounting);
        self.unchanged += other.unchanged;
        for (sum, other) in [
            (&mut self.exclusions, other.exclusions),
            (&mut self.rejections, other.rejections),
            (&mut self.losses, other.losses),
        ] {
            for (key, count) in other {
                *sum.entry(key).or_default() += count;
            }
        }
        for (key, code) in other.coverage {
            match self.coverage.get_mut(&key) {
                Some(same) => {
                    same.count += code.count;
                    // The workers' shares differ from run to run; the smallest name does not.
                    same.display = std::mem::take(&mut same.display).into_iter().chain(code.display).min();
                }
                None => {
                    self.coverage.insert(key, code);
                }
            }
        }
    }

    /// Checks that no record was lost.
    ///
    /// # Errors
    /// A record was lost.
    pub fn check(&self) -> Result<()> {
        match self.accounting.by_type.iter().find(|(_, counts)| !counts.balances()) {
            None => Ok(()),
            Some((resource_type, counts)) => Err(Error::Unbalanced {
                resource_type: resource_type.clone(),
                read: counts.read,
                mapped: counts.mapped,
                excluded: counts.excluded,
                rejected: counts.rejected,
            }),
        }
    }

    /// The rows of `quality.accounting`.
    ///
    /// # Errors
    /// Never, unless the columns and the schema differ.
    pub fn accounting_rows(&self, run_id: &str, source_id: &str) -> Result<RecordBatch> {
        let types: Vec<_> = self.accounting.by_type.iter().collect();
        let numbers = |of: fn(&model::quality::Counts) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(types.iter().map(|(_, counts)| of(counts) as i64)))
        };
        let columns: Vec<ArrayRef> = vec![
            repeat(run_id, types.len()),
            repeat(source_id, types.len()),
            Arc::new(StringArray::from_iter_values(types.iter().map(|(resource_type, _)| resource_type))),
            numbers(|counts| counts.read),
            numbers(|counts| counts.mapped),
            numbers(|counts| counts.excluded),
            numbers(|counts| counts.rejected),
        ];
        Ok(RecordBatch::try_new(ACCOUNTING.schema(), columns)?)
    }

    /// The rows of `quality.mapping_coverage`.
    ///
    /// # Errors
    /// Never, unless the columns and the schema differ.
    pub fn coverage_rows(&self, run_id: &str, source_id: &str) -> Result<RecordBatch> {
        let mut codes: Vec<_> = self.coverage.values().collect();
        codes.sort_by_key(|code| (code.element, &code.system, &code.code, code.concept_id));
        let texts = |of: fn(&Code) -> &Option<Box<str>>| -> ArrayRef {
            Arc::new(codes.iter().map(|code| of(code).as_deref()).collect::<StringArray>())
        };
        let columns: Vec<ArrayRef> = vec![
            repeat(run_id, codes.len()),
            repeat(source_id, codes.len()),
            Arc::new(StringArray::from_iter_values(codes.iter().map(|code| code.element))),
            texts(|code| &code.system),
            texts(|code| &code.code),
            texts(|code| &code.display),
            Arc::new(Int32Array::from_iter_values(codes.iter().map(|code| code.concept_id))),
            Arc::new(Int64Array::from_iter_values(codes.iter().map(|code| code.count as i64))),
        ];
        Ok(RecordBatch::try_new(MAPPING_COVERAGE.schema(), columns)?)
    }

    /// The rows of `quality.loss`.
    ///
    /// # Errors
    /// Never, unless the columns and the schema differ.
    pub fn loss_rows(&self, run_id: &str, source_id: &str) -> Result<RecordBatch> {
        let losses: Vec<_> =
            self.losses.iter().filter_map(|(key, count)| Some((key.rsplit_once(' ')?, *count))).collect();
        let columns: Vec<ArrayRef> = vec![
            repeat(run_id, losses.len()),
            repeat(source_id, losses.len()),
            Arc::new(StringArray::from_iter_values(losses.iter().map(|((element, _), _)| element))),
            Arc::new(StringArray::from_iter_values(losses.iter().map(|((_, reason), _)| reason))),
            Arc::new(Int64Array::from_iter_values(losses.iter().map(|(_, count)| *count as i64))),
            Arc::new(losses.iter().map(|((_, reason), _)| Some(*reason == RESIDUAL)).collect::<BooleanArray>()),
        ];
        Ok(RecordBatch::try_new(LOSS.schema(), columns)?)
    }

    /// The rows of `quality.anomaly`: what the codes met say about the vocabulary.
    ///
    /// # Errors
    /// Never, unless the columns and the schema differ.
    pub fn anomaly_rows(&self, run_id: &str, source_id: &str, vocabulary: &Vocabulary) -> Result<RecordBatch> {
        let mut anomalies: Vec<(&Code, Finding)> = Vec::new();
        for code in self.coverage.values() {
            let findings =
                vocabulary.findings(code.element, code.system.as_deref(), code.code.as_deref(), code.concept_id);
            anomalies.extend(findings.into_iter().map(|finding| (code, finding)));
        }
        anomalies.sort_by_key(|(code, finding)| (finding.kind, code.element, &code.system, &code.code));
        let texts = |of: fn(&Code) -> &Option<Box<str>>| -> ArrayRef {
            Arc::new(anomalies.iter().map(|(code, _)| of(code).as_deref()).collect::<StringArray>())
        };
        let targets = anomalies.iter().map(|(_, finding)| {
            let ids: Vec<_> = finding.targets.iter().map(i32::to_string).collect();
            (!ids.is_empty()).then(|| ids.join(" "))
        });
        let columns: Vec<ArrayRef> = vec![
            repeat(run_id, anomalies.len()),
            repeat(source_id, anomalies.len()),
            Arc::new(StringArray::from_iter_values(anomalies.iter().map(|(_, finding)| finding.kind))),
            Arc::new(StringArray::from_iter_values(anomalies.iter().map(|(code, _)| code.element))),
            texts(|code| &code.system),
            texts(|code| &code.code),
            texts(|code| &code.display),
            Arc::new(anomalies.iter().map(|(_, finding)| finding.source_concept_id).collect::<Int32Array>()),
            Arc::new(targets.collect::<StringArray>()),
            Arc::new(StringArray::from_iter_values(anomalies.iter().map(|(_, finding)| finding.detail.as_str()))),
            Arc::new(Int64Array::from_iter_values(anomalies.iter().map(|(code, _)| code.count as i64))),
            repeat(vocabulary.version(), anomalies.len()),
        ];
        Ok(RecordBatch::try_new(ANOMALY.schema(), columns)?)
    }
}

/// The reason of a loss that was written as a row of its own.
const RESIDUAL: &str = "residual";

fn repeat(text: &str, count: usize) -> ArrayRef {
    crate::view::column::constant(text, count)
}

fn count(counts: &mut BTreeMap<String, u64>, what: &str, reason: &str, more: u64) {
    *counts.entry(format!("{what} {reason}")).or_default() += more;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_record_is_an_error() {
        let mut account = Account::default();
        account.accounting.of("Patient").read += 2;
        account.exclude("Patient", "deleted");
        assert_eq!(
            account.check().unwrap_err().to_string(),
            "`Patient`: 2 read, but 0 mapped + 1 excluded + 0 rejected"
        );
        account.reject("Patient", "invalid_json");
        account.check().unwrap();
        assert_eq!(account.rejections, BTreeMap::from([("Patient invalid_json".to_owned(), 1)]));
    }

    #[test]
    fn the_same_codes_of_two_workers_are_one_row() {
        let code = |display: &'static str| Coverage {
            element: "Condition.code",
            system: Some("s".into()),
            code: Some("c".into()),
            display: Some(display.into()),
            concept_id: 7,
        };
        let (mut a, mut b) = (Account::default(), Account::default());
        a.cover(&code("y"));
        a.cover(&code("z"));
        b.cover(&code("x"));
        a.merge(b);
        let rows = a.coverage_rows("r", "s").unwrap();
        let cell = |column: &str| {
            arrow::util::display::array_value_to_string(rows.column_by_name(column).unwrap(), 0).unwrap()
        };
        assert_eq!((rows.num_rows(), cell("display"), cell("record_count")), (1, "x".into(), "3".into()));
    }

    fn lines(rows: &RecordBatch, columns: &[&str]) -> Vec<String> {
        let cell = |row: usize, column: &&str| {
            arrow::util::display::array_value_to_string(rows.column_by_name(column).unwrap(), row).unwrap()
        };
        let line = |row| columns.iter().map(|column| cell(row, column)).collect::<Vec<_>>().join("|");
        (0..rows.num_rows()).map(line).collect()
    }

    #[test]
    fn what_no_column_took_is_told_by_element_and_reason() {
        let mut account = Account::default();
        let loss = |element, reason| Loss { element, reason };
        account.lose(&[loss("Procedure.code", "residual"), loss("Condition.code", "truncated")]);
        account.lose(&[loss("Condition.code", "truncated")]);
        let rows = account.loss_rows("r", "s").unwrap();
        assert_eq!(
            lines(&rows, &["element", "reason", "record_count", "has_residual_row"]),
            ["Condition.code|truncated|2|false", "Procedure.code|residual|1|true"]
        );
    }

    #[test]
    fn codes_without_a_concept_are_anomalies() {
        let vocabulary = Vocabulary::starter();
        let mut account = Account::default();
        for (code, concept_id) in [("999", 0), ("44054006", 201826), ("999", 0)] {
            account.cover(&Coverage {
                element: "Condition.code",
                system: Some("http://snomed.info/sct".into()),
                code: Some(code.into()),
                display: None,
                concept_id,
            });
        }
        let rows = account.anomaly_rows("r", "s", &vocabulary).unwrap();
        assert_eq!(
            lines(&rows, &["kind", "code", "detail", "record_count"]),
            ["coverage_gap|999|`SNOMED` has no such code|2"]
        );
    }
}
