//! Runs suites of cases in the format of SQL on FHIR's own tests, and reports in theirs.
//!
//! Dates, times and decimals are compared as they were written: what the lake makes of them is another matter.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use model::document::{Element, Kind, Tape};
use serde::Serialize;

use super::column::Rendering;
use super::decimal::Decimal;
use super::folder::json_files;
use super::path::Scope;
use super::plan::Plan;
use super::rows::Flat;
use crate::error::{Error, Result};
use crate::reference::{Directory, References};

/// What became of the cases of a folder, by file: serialised, this is a report in the suite's format.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct SuiteReport {
    files: BTreeMap<String, SuiteFile>,
}

#[derive(Debug, Default, Serialize)]
struct SuiteFile {
    tests: Vec<Case>,
}

#[derive(Debug, Serialize)]
struct Case {
    name: String,
    result: CaseResult,
}

#[derive(Debug, Serialize)]
struct CaseResult {
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl SuiteReport {
    /// How many cases passed.
    pub fn passed(&self) -> usize {
        self.cases().filter(|(_, case)| case.result.passed).count()
    }

    /// How many cases failed.
    pub fn failed(&self) -> usize {
        self.cases().count() - self.passed()
    }

    /// File, case and reason of each failure.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let failed = self.cases().filter(|(_, case)| !case.result.passed);
        failed.map(|(file, case)| (file, case.name.as_str(), case.result.error.as_deref().unwrap_or_default()))
    }

    fn cases(&self) -> impl Iterator<Item = (&str, &Case)> {
        self.files.iter().flat_map(|(name, file)| file.tests.iter().map(|case| (name.as_str(), case)))
    }
}

/// Runs the suites of a folder, or one suite.
///
/// # Errors
/// The folder cannot be read, or holds no suite. What is wrong with a suite is a failed case.
pub fn run_suites(path: &Path) -> Result<SuiteReport> {
    let mut report = SuiteReport::default();
    for file in suite_files(path)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let json = std::fs::read_to_string(&file).map_err(|source| Error::Read { path: file.clone(), source })?;
        let tests = run_suite(&name, &json);
        if !tests.is_empty() {
            report.files.insert(name, SuiteFile { tests });
        }
    }
    if report.files.is_empty() {
        return Err(Error::View {
            file: path.to_owned(),
            problem: "holds no suite of cases (.json with `tests`)".into(),
        });
    }
    Ok(report)
}

fn suite_files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    json_files(path)
}

/// The cases of a suite; none when the file is something else.
fn run_suite(name: &str, json: &str) -> Vec<Case> {
    let mut tape = Tape::default();
    let suite = match tape.parse(json) {
        Ok(suite) => suite,
        Err(fault) => {
            let error = Some(format!("not JSON: {fault}"));
            return vec![Case { name: name.to_owned(), result: CaseResult { passed: false, error } }];
        }
    };
    let resources: Vec<_> = suite.get("resources").map(|list| list.items().collect()).unwrap_or_default();
    let tests = suite.get("tests").map(|list| list.items().collect::<Vec<_>>()).unwrap_or_default();
    let run = |test: Element<'_>| {
        let name = test.get("title").and_then(|title| title.as_str()).unwrap_or("without title").to_owned();
        let error = judge(test, rows_of(test, &resources)).err();
        Case { name, result: CaseResult { passed: error.is_none(), error } }
    };
    tests.into_iter().map(run).collect()
}

/// What a view made of the resources.
struct Made {
    names: Vec<String>,
    columns: Vec<ArrayRef>,
    rows: usize,
}

fn rows_of(test: Element<'_>, resources: &[Element<'_>]) -> std::result::Result<Made, String> {
    let definition = test.get("view").ok_or("the case has no `view`")?;
    let plan = Arc::new(Plan::compile(definition, Rendering::AsWritten)?);
    let mut flat = Flat::new(Arc::clone(&plan));
    let directory = Directory::default();
    let (mut rows, mut problem) = (0, None);
    for resource in resources {
        let text = |name: &str| resource.get(name).and_then(|value| value.as_str());
        if text("resourceType") != Some(plan.resource_type.as_str()) {
            continue;
        }
        let references = References::new(&directory, "", None, None);
        rows += flat.append(*resource, Scope { id: text("id").unwrap_or_default(), references: &references });
        flat.take_faults(|column, fault| {
            let column = column.map_or(String::new(), |column| format!("column `{column}`: "));
            problem.get_or_insert(format!("{column}{}", fault.reason()));
        });
    }
    match problem {
        Some(problem) => Err(problem),
        None => {
            let names = plan.columns.iter().map(|column| column.name.clone()).collect();
            Ok(Made { names, columns: flat.finish(), rows })
        }
    }
}

fn judge(test: Element<'_>, made: std::result::Result<Made, String>) -> std::result::Result<(), String> {
    if test.get("expectError").and_then(|expected| expected.as_bool()) == Some(true) {
        return match made {
            Ok(made) => Err(format!("expected an error, found {} rows", made.rows)),
            Err(_) => Ok(()),
        };
    }
    let made = made?;
    if let Some(expected) = test.get("expectColumns") {
        let expected: Vec<_> = expected.items().filter_map(|name| name.as_str()).collect();
        if made.names != expected {
            return Err(format!("expected the columns {}, found {}", expected.join(", "), made.names.join(", ")));
        }
    }
    if let Some(expected) = test.get("expectCount").and_then(|count| count.as_number())
        && expected.parse() != Ok(made.rows)
    {
        return Err(format!("expected {expected} rows, found {}", made.rows));
    }
    let Some(expected) = test.get("expect") else {
        return Ok(());
    };
    // Rows may come in any order.
    let mut left: Vec<usize> = (0..made.rows).collect();
    for row in expected.items() {
        let Some(found) = left.iter().position(|index| is_row(row, &made, *index)) else {
            return Err(format!("no row like {}", row.text()));
        };
        left.swap_remove(found);
    }
    if left.is_empty() { Ok(()) } else { Err(format!("{} rows more than expected", left.len())) }
}

fn is_row(expected: Element<'_>, made: &Made, row: usize) -> bool {
    let is_cell = |(name, column): (&String, &ArrayRef)| is_value(expected.get(name), column, row);
    expected.members().all(|(key, _)| made.names.iter().any(|name| name == key))
        && made.names.iter().zip(&made.columns).all(is_cell)
}

fn is_value(expected: Option<Element<'_>>, column: &ArrayRef, row: usize) -> bool {
    let Some(expected) = expected.filter(|expected| expected.kind() != Kind::Null) else {
        return column.is_null(row);
    };
    if column.is_null(row) {
        return false;
    }
    let is_number = |found: Decimal| expected.as_number().and_then(Decimal::parse) == Some(found);
    match column.data_type() {
        DataType::Boolean => expected.as_bool() == Some(column.as_boolean().value(row)),
        DataType::Int32 => is_number(i64::from(column.as_primitive::<Int32Type>().value(row)).into()),
        DataType::Int64 => is_number(column.as_primitive::<Int64Type>().value(row).into()),
        DataType::List(_) => {
            let values = column.as_list::<i32>().value(row);
            let items: Vec<_> = expected.items().collect();
            expected.kind() == Kind::Array
                && items.len() == values.len()
                && items.iter().enumerate().all(|(index, item)| is_value(Some(*item), &values, index))
        }
        _ => {
            let found = column.as_string::<i32>().value(row);
            match expected.as_bool() {
                // A column whose definition does not say its type is text.
                Some(expected) => found == if expected { "true" } else { "false" },
                None if expected.as_number().is_some() => Decimal::parse(found).is_some_and(is_number),
                None => expected.as_str() == Some(found),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::shared;

    #[test]
    fn every_case_of_the_official_suite_passes() {
        let Some(folder) = shared("every_case_of_the_official_suite_passes", "sql-on-fhir/tests") else { return };
        let report = run_suites(&folder).unwrap();
        let failures: Vec<_> = report.failures().collect();
        assert!(failures.is_empty(), "{failures:#?}");
        assert_eq!(report.passed(), 134);
    }

    /// One resource, one view, and what a case expects of it: the reason why it fails.
    fn failure(expectation: &str) -> Option<String> {
        let json = format!(
            r#"{{"resources":[{{"resourceType":"Patient","id":"1","active":true,"birthDate":"1980-02",
            "name":[{{"given":["A","B"]}}],"multipleBirthInteger":2}}],
            "tests":[{{"title":"t","view":{{"resource":"Patient","select":[{{"column":[
            {{"name":"id","path":"id","type":"id"}},{{"name":"born","path":"birthDate","type":"date"}},
            {{"name":"given","path":"name.given","collection":true}},{{"name":"birth","path":"multipleBirth"}},
            {{"name":"none","path":"gender","type":"code"}},{{"name":"active","path":"active"}}]}}]}},{expectation}}}]}}"#
        );
        let mut cases = run_suite("s.json", &json);
        assert_eq!(cases.len(), 1);
        cases.pop().and_then(|case| case.result.error)
    }

    #[test]
    fn a_case_fails_for_each_difference() {
        let row = r#"{"id":"1","born":"1980-02","given":["A","B"],"birth":2,"none":null,"active":true}"#;
        assert_eq!(failure(&format!(r#""expect":[{row}]"#)), None);
        assert_eq!(failure(r#""expectCount":1"#), None);
        for (from, to) in [
            (r#""1980-02""#, r#""1980-02-01""#),
            (r#""id":"1""#, r#""id":"2""#),
            (r#"["A","B"]"#, r#"["B","A"]"#),
            (r#"["A","B"]"#, r#"["A"]"#),
            (r#"["A","B"]"#, r#""A""#),
            (r#""birth":2"#, r#""birth":3"#),
            (r#""none":null"#, r#""none":"x""#),
            (r#""id":"1""#, r#""id":null"#),
            (r#""active":true"#, r#""active":false"#),
            (r#""none":null"#, r#""nothing":null"#),
        ] {
            let changed = row.replace(from, to);
            assert_eq!(failure(&format!(r#""expect":[{changed}]"#)), Some(format!("no row like {changed}")));
        }
        for (expectation, told) in [
            (r#""expect":[]"#, "1 rows more than expected"),
            (r#""expectCount":2"#, "expected 2 rows, found 1"),
            (r#""expectError":true"#, "expected an error, found 1 rows"),
            (r#""expectColumns":["id"]"#, "expected the columns id, found id, born, given, birth, none, active"),
        ] {
            assert_eq!(failure(expectation).as_deref(), Some(told));
        }
    }

    #[test]
    fn the_report_has_the_format_of_the_suite() {
        let tests = run_suite("broken.json", "{");
        let report = SuiteReport { files: BTreeMap::from([("broken.json".to_owned(), SuiteFile { tests })]) };
        assert_eq!((report.passed(), report.failed()), (0, 1));
        let json = serde_json::to_string(&report).unwrap();
        let error = "not JSON: expected a member name in quotes at byte 1";
        let expected = format!(
            r#"{{"broken.json":{{"tests":[{{"name":"broken.json","result":{{"passed":false,"error":"{error}"}}}}]}}}}"#
        );
        assert_eq!(json, expected);
    }
}
