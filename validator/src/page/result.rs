//! The results of checks as the page shows them: one by one, against tables, and by kind.

use std::collections::BTreeMap;

use model::quality::{Category, CheckResult, Severity, Status};
use serde::Serialize;

use crate::draw::percent;
use crate::record::name_of;

/// One result as the page shows it.
#[derive(Serialize)]
pub struct Finding {
    pub id: String,
    pub name: String,
    pub place: String,
    pub class: &'static str,
    pub word: &'static str,
    pub description: String,
    pub rows: u64,
    pub violations: u64,
    pub share: String,
    pub threshold: String,
    pub message: Option<String>,
    pub sql: String,
}

impl Finding {
    /// Of a result.
    pub fn of(result: &CheckResult) -> Finding {
        let check = &result.check;
        let place = match &check.column {
            Some(column) => format!("{}.{column}", check.table),
            None => check.table.clone(),
        };
        let (class, word) = verdict(result);
        Finding {
            id: check.id.clone(),
            name: check.name.clone(),
            place,
            class,
            word,
            description: check.description.clone(),
            rows: result.row_count,
            violations: result.violation_count,
            share: percent(result.violation_count, result.row_count),
            threshold: format!("{} %", check.threshold_percent),
            message: result.message.clone(),
            sql: check.sql.clone(),
        }
    }
}

/// True for what a reader should look at.
pub fn is_finding(result: &CheckResult) -> bool {
    matches!(result.status, Status::Failed | Status::Errored)
}

/// The class of a result and the word for it.
fn verdict(result: &CheckResult) -> (&'static str, &'static str) {
    match result.status {
        Status::Errored if result.check.severity == Severity::Advisory => ("warn", "could not be answered"),
        Status::Errored => ("bad", "could not be answered"),
        Status::Failed if result.check.severity == Severity::Required => ("bad", "failed"),
        Status::Failed => ("warn", "advisory"),
        Status::Passed => ("ok", "passed"),
        Status::NotApplicable => ("none", "no rows"),
    }
}

/// Kinds of checks against tables.
#[derive(Serialize)]
pub struct Matrix {
    pub tables: Vec<String>,
    pub rows: Vec<MatrixRow>,
}

/// A kind of check.
#[derive(Serialize)]
pub struct MatrixRow {
    pub category: String,
    pub opens_category: bool,
    pub name: String,
    pub cells: Vec<Cell>,
}

/// The results of a kind about a table.
#[derive(Clone, Default, Serialize)]
pub struct Cell {
    pub class: &'static str,
    pub passed: u64,
    pub failed: u64,
    pub warned: u64,
    pub not_applicable: u64,
}

impl Matrix {
    /// Only OMOP tables with rows, in the order of the specification.
    pub fn of(results: &[CheckResult]) -> Matrix {
        let with_rows = |table: &str| {
            results
                .iter()
                .any(|result| result.check.table == table && result.check.name == "isRequired" && result.row_count > 0)
        };
        let names = model::omop::tables().iter().map(|table| format!("omop.{}", table.name));
        let tables: Vec<String> = names.filter(|table| with_rows(table)).collect();
        let mut rows: BTreeMap<(Category, String), Vec<Cell>> = BTreeMap::new();
        for result in results {
            let Some(column) = tables.iter().position(|table| *table == result.check.table) else { continue };
            let key = (result.check.category, result.check.name.clone());
            let cell = &mut rows.entry(key).or_insert_with(|| vec![Cell::default(); tables.len()])[column];
            match verdict(result).0 {
                "bad" => cell.failed += 1,
                "warn" => cell.warned += 1,
                "ok" => cell.passed += 1,
                _ => cell.not_applicable += 1,
            }
        }
        for cell in rows.values_mut().flatten() {
            cell.class = match cell {
                Cell { failed: 1.., .. } => "bad",
                Cell { warned: 1.., .. } => "warn",
                Cell { passed: 1.., .. } => "ok",
                Cell { not_applicable: 1.., .. } => "none",
                _ => "",
            };
        }
        let tables = tables.iter().map(|table| table.trim_start_matches("omop.").to_owned()).collect();
        let mut previous = None;
        let rows = rows
            .into_iter()
            .map(|((category, name), cells)| {
                let opens_category = previous.replace(category) != Some(category);
                MatrixRow { category: name_of(&category), opens_category, name, cells }
            })
            .collect();
        Matrix { tables, rows }
    }
}

/// Results of one category, by kind of check.
#[derive(Serialize)]
pub struct Group {
    pub category: String,
    pub passed: u64,
    pub failed: u64,
    pub warned: u64,
    pub not_applicable: u64,
    pub share: String,
    pub kinds: Vec<Kind>,
}

/// Results of one kind.
#[derive(Default, Serialize)]
pub struct Kind {
    pub name: String,
    pub class: &'static str,
    pub passed: u64,
    pub failed: u64,
    pub warned: u64,
    pub not_applicable: u64,
    pub rows: u64,
    pub results: Vec<Finding>,
}

/// Results by category and kind.
pub fn groups(results: &[CheckResult]) -> Vec<Group> {
    let mut groups: BTreeMap<Category, BTreeMap<String, Kind>> = BTreeMap::new();
    for result in results {
        let name = result.check.name.clone();
        let kind = groups.entry(result.check.category).or_default().entry(name.clone()).or_default();
        kind.name = name;
        kind.rows += result.row_count;
        let finding = Finding::of(result);
        match finding.class {
            "bad" => kind.failed += 1,
            "warn" => kind.warned += 1,
            "ok" => kind.passed += 1,
            _ => kind.not_applicable += 1,
        }
        // What does not apply is counted, and listed in the JSON file.
        if finding.class != "none" {
            kind.results.push(finding);
        }
    }
    let sum = |kinds: &BTreeMap<String, Kind>, part: fn(&Kind) -> u64| kinds.values().map(part).sum::<u64>();
    groups
        .into_iter()
        .map(|(category, mut kinds)| {
            for kind in kinds.values_mut() {
                kind.class = match kind {
                    Kind { failed: 1.., .. } => "bad",
                    Kind { warned: 1.., .. } => "warn",
                    Kind { passed: 1.., .. } => "ok",
                    _ => "none",
                };
            }
            let passed = sum(&kinds, |kind| kind.passed);
            let answered = passed + sum(&kinds, |kind| kind.failed) + sum(&kinds, |kind| kind.warned);
            Group {
                category: name_of(&category),
                passed,
                failed: sum(&kinds, |kind| kind.failed),
                warned: sum(&kinds, |kind| kind.warned),
                not_applicable: sum(&kinds, |kind| kind.not_applicable),
                share: percent(passed, answered),
                kinds: kinds.into_values().collect(),
            }
        })
        .collect()
}
