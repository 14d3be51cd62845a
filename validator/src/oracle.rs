//! The closed loop: the OMOP rows that the generator meant, against those that the mapping made of its FHIR.
//!
//! Every row of both sides is reduced to a 128-bit hash over all its columns, added up in buckets by key. Equal
//! buckets hold equal rows; only buckets that differ are read again and compared cell by cell, a group at a time and
//! not more than some groups: where nearly everything differs, the first rows tell why. Memory is bounded by the size
//! of a group, not by the population. Lineage columns take no part.

pub(crate) mod account;
mod digest;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::row::Rows;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::DataFusionError;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionContext, col, lit};
use model::omop::{Table, tables};
use model::quality::{Category, CheckResult, Status};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::contents::Contents;
use crate::error::{Error, Result, reading};
use crate::question::check;
use digest::{digest, encode, encode_key, gather, groups, key_columns};

/// Differences listed per table.
const LISTED: usize = 20;
/// Rows of both sides that are compared cell by cell at a time,
const GROUP_ROWS: u64 = 400_000;
/// and how often a table is read for that.
const GROUPS: usize = 4;
/// Says how the run came about, which the generator cannot know.
const NOT_EXPECTED: &[&str] = &["cdm_source"];

/// How far expectation and result agree.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OracleOutcome {
    /// Expected rows, all of them compared.
    pub rows: u64,
    /// Expected cells: rows times columns.
    pub cells: u64,
    /// Rows that differ, are missing, or should not be there.
    pub mismatches: u64,
    /// By table.
    pub tables: Vec<OracleTable>,
}

/// How far expectation and result agree in one table.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OracleTable {
    /// `person`.
    pub table: String,
    /// Expected rows.
    pub expected: u64,
    /// Rows found.
    pub found: u64,
    /// Columns compared.
    pub columns: u64,
    /// Rows with the same key whose cells differ.
    pub changed: u64,
    /// Expected rows that are not there.
    pub missing: u64,
    /// Rows that were not expected.
    pub extra: u64,
    /// Rows beside those that differ, are missing or extra, among which there are more of them: nobody looked which.
    pub unread: u64,
    /// Differing cells by column.
    pub changed_columns: BTreeMap<String, u64>,
    /// The first differences.
    pub differences: Vec<Difference>,
    /// What stood in the way of the comparison.
    pub message: Option<String>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The key of the row.
    pub key: String,
    /// The column; `None` when the whole row is missing or was not expected.
    pub column: Option<String>,
    /// The expected value; `None` is null, or no row.
    pub expected: Option<String>,
    /// The value found; `None` is null, or no row.
    pub found: Option<String>,
}

impl OracleTable {
    /// Rows that differ, are missing, or should not be there; at most, where not all were read.
    pub fn mismatches(&self) -> u64 {
        self.changed + self.missing + self.extra + self.unread
    }
}

impl Difference {
    fn words(&self) -> String {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".into());
        match (&self.column, &self.found) {
            (Some(column), _) => {
                format!("row {}: `{column}` expected {}, found {}", self.key, value(&self.expected), value(&self.found))
            }
            (None, None) => format!("row {} is missing", self.key),
            (None, Some(_)) => format!("row {} was not expected", self.key),
        }
    }
}

/// Compares all tables of a source with the expected rows in `folder`.
pub(crate) async fn compare(
    session: &SessionContext,
    contents: &Contents,
    folder: &Path,
    source_id: &str,
    threads: usize,
) -> Result<OracleOutcome> {
    let files = expected_files(folder)?;
    let permits = Arc::new(Semaphore::new(threads.max(1)));
    let mut tasks = JoinSet::new();
    for table in tables() {
        let lake_table = format!("omop.{}", table.name);
        let paths = files.get(table.name).cloned().unwrap_or_default();
        let unexpected = paths.is_empty() && NOT_EXPECTED.contains(&table.name);
        if table.schema != "cdm" || unexpected || (paths.is_empty() && contents.rows(&lake_table) == 0) {
            continue;
        }
        let expected = if paths.is_empty() {
            None
        } else {
            let options = ParquetReadOptions::default();
            Some(session.read_parquet(paths, options).await.map_err(reading(format!("expected `{}`", table.name)))?)
        };
        let found = if contents.has(&lake_table) {
            let rows = session.table(lake_table.as_str()).await.map_err(reading(lake_table.clone()))?;
            let own = contents.has_columns(&lake_table, &["source_id"]);
            let rows = if own { rows.filter(col("source_id").eq(lit(source_id))) } else { Ok(rows) };
            Some(rows.map_err(reading(lake_table.clone()))?)
        } else {
            None
        };
        let permits = permits.clone();
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await;
            compare_table(table, expected, found, GROUP_ROWS).await
        });
    }
    let mut outcome = OracleOutcome::default();
    while let Some(done) = tasks.join_next().await {
        let table = done.map_err(|panic| DataFusionError::External(panic.into())).map_err(reading("the oracle"))??;
        outcome.rows += table.expected;
        outcome.cells += table.expected * table.columns;
        outcome.mismatches += table.mismatches();
        outcome.tables.push(table);
    }
    outcome.tables.sort_by_key(|outcome| tables().iter().position(|table| table.name == outcome.table));
    Ok(outcome)
}

/// One check result per table of the outcome.
pub(crate) fn results(outcome: &OracleOutcome) -> Vec<CheckResult> {
    let judged = |table: &OracleTable| {
        let name = format!("omop.{}", table.table);
        let sentence = format!("Every row and column of `{name}` is what the generator meant.");
        let check = check(Category::Conformance, "oracleAgreement", &name, None, sentence);
        let rows = table.expected.max(table.found);
        let mut result = CheckResult::judged(check, rows, table.mismatches());
        if table.message.is_some() {
            result.status = Status::Failed;
        }
        let differences = table.differences.iter().map(Difference::words);
        let words: Vec<_> = table.message.iter().cloned().chain(differences).take(5).collect();
        result.message = (!words.is_empty()).then(|| words.join("; "));
        result
    };
    outcome.tables.iter().map(judged).collect()
}

/// `<table>.parquet` and `<table>.<k>-of-<n>.parquet`, by table.
fn expected_files(folder: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let refused = |source| Error::File { path: folder.to_owned(), source };
    let mut files: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(refused)? {
        let path = std::path::absolute(entry.map_err(refused)?.path()).map_err(refused)?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some((table, _)) = name.strip_suffix(".parquet").map(|stem| stem.split_once('.').unwrap_or((stem, ""))) {
            files.entry(table.to_owned()).or_default().insert(path.clone());
        }
    }
    if files.is_empty() {
        return Err(Error::NoExpectedRows(folder.to_owned()));
    }
    let text = |paths: BTreeSet<PathBuf>| paths.iter().map(|path| path.display().to_string()).collect();
    Ok(files.into_iter().map(|(table, paths)| (table, text(paths))).collect())
}

async fn compare_table(
    table: &'static Table,
    expected: Option<DataFrame>,
    found: Option<DataFrame>,
    group_rows: u64,
) -> Result<OracleTable> {
    let mut outcome =
        OracleTable { table: table.name.into(), columns: table.columns.len() as u64, ..OracleTable::default() };
    let mut messages = Vec::new();
    for (side, rows) in [("the generator's files", &expected), ("the lake", &found)] {
        match rows {
            None => messages.push(format!("table `{}` is missing in {side}", table.name)),
            Some(rows) => {
                let absent = |name: &&str| rows.schema().inner().field_with_name(name).is_err();
                let absent: Vec<&str> = table.columns.iter().map(|column| column.name).filter(absent).collect();
                if !absent.is_empty() {
                    messages.push(format!("columns are missing in {side}: {}", absent.join(", ")));
                }
            }
        }
    }
    let what = format!("the oracle of `{}`", table.name);
    let (left, right) = tokio::join!(digest(table, expected.clone()), digest(table, found.clone()));
    let (left, right) = (left.map_err(reading(what.clone()))?, right.map_err(reading(what.clone()))?);
    outcome.expected = left.iter().map(|digest| digest.rows).sum();
    outcome.found = right.iter().map(|digest| digest.rows).sum();
    // An empty table is the same as none.
    if messages.len() == 1 && (expected.is_none() || found.is_none()) && outcome.expected + outcome.found == 0 {
        messages.clear();
    }
    let groups = groups(&left, &right, group_rows);
    let (read, unread) = groups.split_at(groups.len().min(GROUPS));
    outcome.unread = unread.iter().flat_map(|group| group.iter()).map(|at| left[*at].rows.max(right[*at].rows)).sum();
    if outcome.unread > 0 {
        messages.push(format!("{} more rows lie among others that differ and were not compared", outcome.unread));
    }
    outcome.message = (!messages.is_empty()).then(|| messages.join("; "));

    for group in read {
        let (left, right) =
            tokio::join!(gather(table, expected.clone(), group.clone()), gather(table, found.clone(), group.clone()));
        let left = left.map_err(reading(what.clone()))?;
        compare_rows(table, &left, &right.map_err(reading(what.clone()))?, &mut outcome)
            .map_err(reading(what.clone()))?;
    }
    Ok(outcome)
}

fn compare_rows(
    table: &Table,
    left: &RecordBatch,
    right: &RecordBatch,
    outcome: &mut OracleTable,
) -> Result<(), DataFusionError> {
    let (left_keys, right_keys) = (encode_key(table, left.columns())?, encode_key(table, right.columns())?);
    let (left_rows, right_rows) = (encode(left.columns())?, encode(right.columns())?);
    let cells = |batch: &RecordBatch| -> Result<Vec<Rows>, DataFusionError> {
        batch.columns().iter().map(|column| encode(std::slice::from_ref(column))).collect()
    };
    let (left_cells, right_cells) = (cells(left)?, cells(right)?);
    let mut waiting: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for index in (0..right.num_rows()).rev() {
        waiting.entry(right_keys.row(index).as_ref().to_vec()).or_default().push(index);
    }
    let key_name = |batch: &RecordBatch, index: usize| -> Result<String, DataFusionError> {
        let keys = key_columns(table);
        let names = keys.iter().take(4).map(|column| text(batch.column(*column), index));
        let names: Vec<String> =
            names.collect::<Result<Vec<_>, _>>()?.into_iter().map(Option::unwrap_or_default).collect();
        Ok(names.join(" | "))
    };
    for index in 0..left.num_rows() {
        let found = waiting.get_mut(left_keys.row(index).as_ref()).and_then(|found| {
            // Rows of one key may come in any order.
            let same = found.iter().position(|other| right_rows.row(*other) == left_rows.row(index));
            match same {
                Some(place) => Some(found.remove(place)),
                None => found.pop(),
            }
        });
        let Some(other) = found else {
            outcome.missing += 1;
            if outcome.differences.len() < LISTED {
                let key = key_name(left, index)?;
                outcome.differences.push(Difference { key, column: None, expected: Some("a row".into()), found: None });
            }
            continue;
        };
        if left_rows.row(index) == right_rows.row(other) {
            continue;
        }
        outcome.changed += 1;
        for (column, field) in table.columns.iter().enumerate() {
            if left_cells[column].row(index) == right_cells[column].row(other) {
                continue;
            }
            *outcome.changed_columns.entry(field.name.to_owned()).or_default() += 1;
            if outcome.differences.len() < LISTED {
                outcome.differences.push(Difference {
                    key: key_name(left, index)?,
                    column: Some(field.name.to_owned()),
                    expected: text(left.column(column), index)?,
                    found: text(right.column(column), other)?,
                });
            }
        }
    }
    let mut extra: Vec<usize> = waiting.into_values().flatten().collect();
    extra.sort_unstable();
    outcome.extra += extra.len() as u64;
    for index in extra.into_iter().take(LISTED.saturating_sub(outcome.differences.len())) {
        let key = key_name(right, index)?;
        outcome.differences.push(Difference { key, column: None, expected: None, found: Some("a row".into()) });
    }
    Ok(())
}

fn text(column: &ArrayRef, index: usize) -> Result<Option<String>, DataFusionError> {
    if column.is_null(index) {
        return Ok(None);
    }
    let options = FormatOptions::default();
    Ok(Some(ArrayFormatter::try_new(column, &options)?.value(index).to_string()))
}

#[cfg(test)]
mod tests {
    use model::omop::Row;

    use super::*;
    use crate::testing::{contents, sound_lake, sound_rows, write_expected};

    async fn compared(change: impl FnOnce(&mut Vec<Row<'static>>)) -> OracleOutcome {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = sound_rows();
        change(&mut rows);
        write_expected(&rows, folder.path());
        let session = sound_lake().await;
        let contents = contents(&session).await;
        compare(&session, &contents, folder.path(), "test", 2).await.unwrap()
    }

    fn table<'a>(outcome: &'a OracleOutcome, name: &str) -> &'a OracleTable {
        outcome.tables.iter().find(|table| table.table == name).unwrap()
    }

    #[tokio::test]
    async fn equal_tables_agree_in_every_cell() {
        let outcome = compared(|_| {}).await;
        assert_eq!((outcome.rows, outcome.mismatches), (10, 0));
        assert_eq!(table(&outcome, "measurement").expected, 2);
        assert!(results(&outcome).iter().all(|result| result.status == Status::Passed));
    }

    #[tokio::test]
    async fn a_changed_cell_is_found() {
        let outcome = compared(|rows| {
            for row in rows {
                if let Row::Measurement(measurement) = row {
                    measurement.value_as_number = measurement.value_as_number.map(|value| value + 1e-9);
                    measurement.unit_source_value = None;
                    break;
                }
            }
        })
        .await;
        let found = table(&outcome, "measurement");
        assert_eq!((found.changed, found.missing, found.extra), (1, 0, 0));
        assert_eq!(found.changed_columns.keys().collect::<Vec<_>>(), ["unit_source_value", "value_as_number"]);
        let unit =
            found.differences.iter().find(|difference| difference.column.as_deref() == Some("unit_source_value"));
        assert_eq!(unit.unwrap().found.as_deref(), Some("mm[Hg]"));
        assert_eq!(unit.unwrap().expected, None);
        let result = results(&outcome).into_iter().find(|result| result.check.table == "omop.measurement").unwrap();
        assert_eq!(result.status, Status::Failed);
        assert!(result.message.unwrap().contains("row 51: `value_as_number` expected 151.000000001, found 151.0"));
    }

    #[tokio::test]
    async fn a_missing_and_an_extra_row_are_found() {
        let outcome = compared(|rows| {
            for row in rows.iter_mut() {
                if let Row::ConditionOccurrence(condition) = row {
                    condition.condition_occurrence_id += 1;
                }
            }
        })
        .await;
        let found = table(&outcome, "condition_occurrence");
        assert_eq!((found.changed, found.missing, found.extra), (0, 1, 1));
        assert_eq!(found.differences.len(), 2);
        assert_eq!(outcome.mismatches, 2);
    }

    #[tokio::test]
    async fn where_much_differs_some_is_compared_and_the_rest_counted() {
        let session = sound_lake().await;
        let expected = "select i as person_id, i as gender_concept_id from generate_series(1, 100) as t(i)";
        let expected = session.sql(expected).await.unwrap();
        let found = expected.clone().filter(col("person_id").gt(lit(20))).unwrap();
        let person = model::omop::table("person").unwrap();
        let all = compare_table(person, Some(expected.clone()), Some(found.clone()), 1000).await.unwrap();
        assert_eq!((all.missing, all.unread, all.mismatches()), (20, 0, 20));
        let some = compare_table(person, Some(expected), Some(found), 1).await.unwrap();
        assert!(some.missing >= GROUPS as u64 && some.missing < 20, "{}", some.missing);
        // A row that is equal may lie among those that differ.
        assert!(some.mismatches() >= 20 && some.mismatches() < 30, "{}", some.mismatches());
        assert!(some.message.unwrap().contains(" more rows lie among others that differ"));
    }

    #[tokio::test]
    async fn a_table_that_only_one_side_has_is_found() {
        let outcome = compared(|rows| rows.retain(|row| !matches!(row, Row::DrugExposure(_)))).await;
        let found = table(&outcome, "drug_exposure");
        assert_eq!(found.extra, 1);
        assert!(found.message.as_deref().unwrap().contains("missing in the generator's files"));
    }

    #[tokio::test]
    async fn a_duplicated_row_is_found() {
        let outcome = compared(|rows| {
            let again = rows.iter().find(|row| matches!(row, Row::VisitOccurrence(_))).unwrap().clone();
            rows.push(again);
        })
        .await;
        assert_eq!(table(&outcome, "visit_occurrence").missing, 1);
    }

    #[test]
    fn shards_belong_to_their_table() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["person.1-of-2.parquet", "person.2-of-2.parquet", "death.parquet", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let files = expected_files(folder.path()).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["death", "person"]);
        assert_eq!(files["person"].len(), 2);
        assert!(matches!(expected_files(tempfile::tempdir().unwrap().path()), Err(Error::NoExpectedRows(_))));
    }
}
