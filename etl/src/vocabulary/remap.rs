//! What would change for the rows of this lake if its codes were mapped by another vocabulary: a dry run of an upgrade.
//! Local codes, whose concepts are made by an import, are not compared.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use lake::{AsOf, Lake, TableName};
use model::omop;
use serde::{Deserialize, Serialize};

use super::bad_lines::BadLines;
use super::stored::for_each;
use super::watch::FIRST_CUSTOM;
use super::{Domain, Vocabulary};
use crate::Result;

/// The longest source value of the CDM: codes are cut there.
const SOURCE_VALUE: usize = 50;

/// A vocabulary to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that the lake holds.
    Loaded,
    /// An unpacked download.
    Folder(PathBuf),
}

/// How a code's rows would change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It has standard concepts, and would have none.
    BecomesUnmapped,
    /// It has no standard concept, and would have some.
    NewlyMapped,
    /// Its rows, or some of them, belong to another table.
    Table,
    /// It has other standard concepts.
    Concept,
    /// Its standard concepts are of another domain, which decides no table.
    Domain,
}

/// A standard concept and what kind of fact it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Meaning {
    /// The concept.
    pub concept_id: i32,
    /// Its domain.
    pub domain_id: String,
}

/// A code whose rows would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The table.
    pub table: String,
    /// The column of the standard concept.
    pub column: String,
    /// The vocabulary of the code, or its system where the vocabulary is not known.
    pub vocabulary: String,
    /// The code.
    pub code: String,
    /// Rows with the code.
    pub rows: u64,
    /// What would change.
    pub kind: ChangeKind,
    /// What the code means now.
    pub old: Vec<Meaning>,
    /// What it would mean.
    pub new: Vec<Meaning>,
}

/// The rows of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableChanges {
    /// Rows with a code that could be compared.
    pub rows: u64,
    /// Those that would change, by how.
    pub changed: BTreeMap<ChangeKind, u64>,
}

/// What would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remap {
    /// The release that is compared with.
    pub old_version: String,
    /// The release that would be used.
    pub new_version: String,
    /// Counts by table.
    pub tables: BTreeMap<String, TableChanges>,
    /// Every code whose rows would change, most rows first.
    pub changes: Vec<Change>,
    /// Lines of the folders that could not be read.
    pub bad_lines: u64,
}

/// Rows of one column with one code.
struct Used {
    table: &'static str,
    column: String,
    codes: Vec<Code>,
    rows: u64,
}

/// A code in the words of the vocabulary, or in those of FHIR.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Code {
    Known { vocabulary_id: String, code: String },
    OfSystem { system: String, code: String },
}

/// Compares two vocabularies as to the codes of this lake's rows. Nothing is written.
///
/// # Errors
/// A vocabulary or the lake cannot be read.
pub async fn diff(lake: &Lake, old: &Side, new: &Side, max_bad_lines: u64) -> Result<Remap> {
    let used = used(lake).await?;
    let codes: BTreeSet<&Code> = used.iter().flat_map(|used| &used.codes).collect();
    let bad = BadLines::new(max_bad_lines);
    // One after the other: only one of the two is in memory.
    let (old_version, before) = meanings(lake, old, &codes, &bad).await?;
    let (new_version, after) = meanings(lake, new, &codes, &bad).await?;
    let mut remap = Remap { old_version, new_version, bad_lines: bad.finish().0, ..Remap::default() };
    for used in &used {
        let table = remap.tables.entry(used.table.to_owned()).or_default();
        table.rows += used.rows;
        // Of several systems with such a code the one counts that says something.
        let said = used.codes.iter().find(|code| before.contains_key(code) || after.contains_key(code));
        let Some(code) = said else { continue };
        let none = Vec::new();
        let (old, new) = (before.get(code).unwrap_or(&none), after.get(code).unwrap_or(&none));
        let Some(kind) = judge(old, new, used.table) else { continue };
        *table.changed.entry(kind).or_default() += used.rows;
        let (vocabulary, code) = match code {
            Code::Known { vocabulary_id, code } => (vocabulary_id, code),
            Code::OfSystem { system, code } => (system, code),
        };
        remap.changes.push(Change {
            table: used.table.to_owned(),
            column: used.column.clone(),
            vocabulary: vocabulary.clone(),
            code: code.clone(),
            rows: used.rows,
            kind,
            old: old.clone(),
            new: new.clone(),
        });
    }
    remap.changes.sort_by(|a, b| {
        let key = |change: &Change| (change.table.clone(), change.vocabulary.clone(), change.code.clone());
        b.rows.cmp(&a.rows).then_with(|| key(a).cmp(&key(b)))
    });
    Ok(remap)
}

fn judge(old: &[Meaning], new: &[Meaning], table: &str) -> Option<ChangeKind> {
    let ids = |side: &[Meaning]| side.iter().map(|meaning| meaning.concept_id).collect::<BTreeSet<_>>();
    let tables = |side: &[Meaning]| side.iter().map(|meaning| table_of(&meaning.domain_id)).collect::<BTreeSet<_>>();
    // Only the tables of events are chosen by domain.
    let is_routed = EVENT_TABLES.iter().any(|(_, event)| *event == table);
    match (old.is_empty(), new.is_empty()) {
        _ if old == new => None,
        (false, true) => Some(ChangeKind::BecomesUnmapped),
        (true, false) => Some(ChangeKind::NewlyMapped),
        _ if is_routed && tables(old) != tables(new) => Some(ChangeKind::Table),
        _ if ids(old) != ids(new) => Some(ChangeKind::Concept),
        _ => Some(ChangeKind::Domain),
    }
}

const EVENT_TABLES: [(Domain, &str); 7] = [
    (Domain::Condition, "condition_occurrence"),
    (Domain::Observation, "observation"),
    (Domain::Measurement, "measurement"),
    (Domain::Procedure, "procedure_occurrence"),
    (Domain::Drug, "drug_exposure"),
    (Domain::Device, "device_exposure"),
    (Domain::Specimen, "specimen"),
];

fn table_of(domain_id: &str) -> Option<&'static str> {
    let domain = Domain::of(domain_id);
    EVENT_TABLES.iter().find(|(of, _)| *of == domain).map(|(_, table)| *table)
}

/// What codes mean in a vocabulary; codes that it does not map are not in the answer.
async fn meanings<'c>(
    lake: &Lake,
    side: &Side,
    codes: &BTreeSet<&'c Code>,
    bad: &BadLines,
) -> Result<(String, HashMap<&'c Code, Vec<Meaning>>)> {
    let vocabulary = match side {
        Side::Loaded => Vocabulary::load(lake).await?,
        Side::Folder(folder) => Vocabulary::of_folder(folder, bad)?,
    };
    let mut meanings = HashMap::new();
    for code in codes {
        let (system, text) = match code {
            Code::Known { vocabulary_id, code } => (vocabulary.code_system_of(vocabulary_id), code),
            Code::OfSystem { system, code } => (vocabulary.code_system(system), code),
        };
        let found = system.and_then(|system| vocabulary.find_as_usual(system, text));
        let mut targets: Vec<Meaning> = found
            .into_iter()
            .flat_map(|(source, _)| source.targets())
            .filter_map(|target| vocabulary.concept(target.concept_id))
            .map(|target| Meaning { concept_id: target.concept_id, domain_id: target.domain_id.to_owned() })
            .collect();
        if !targets.is_empty() {
            targets.sort();
            meanings.insert(*code, targets);
        }
    }
    Ok((vocabulary.version().to_owned(), meanings))
}

/// Every code of the lake's rows, with its rows.
async fn used(lake: &Lake) -> Result<Vec<Used>> {
    let session = lake.session(&AsOf::Latest).await?;
    let present: BTreeSet<TableName> = lake.tables().await?.into_iter().collect();
    let systems = systems(lake, &present).await?;
    let has_concepts = present.contains(&TableName::new("vocabulary", "concept"));
    let mut used = Vec::new();
    for (table, prefix) in coded_columns() {
        if !has_concepts || !present.contains(&TableName::new("omop", table)) {
            continue;
        }
        let sql = format!(
            "select c.vocabulary_id as vocabulary_id, c.concept_code as concept_code, t.code as code, t.id as id, \
             t.row_count as row_count from (select {prefix}_source_value as code, \
             cast(coalesce({prefix}_source_concept_id, 0) as integer) as id, \
             cast(count(*) as bigint) as row_count from omop.{table} where {prefix}_source_value is not null group by 1, 2) \
             as t left join vocabulary.concept as c on c.concept_id = t.id and t.id > 0"
        );
        for_each(&session, &sql, |batch, rows| {
            for row in 0..rows {
                let id = number(batch, "id", row);
                if id >= FIRST_CUSTOM {
                    continue;
                }
                let source = text(batch, "code", row).unwrap_or_default();
                let known = text(batch, "vocabulary_id", row).zip(text(batch, "concept_code", row));
                let codes = match known {
                    Some((vocabulary_id, code)) => {
                        vec![Code::Known { vocabulary_id: vocabulary_id.to_owned(), code: code.to_owned() }]
                    }
                    None => systems.get(source).cloned().unwrap_or_default(),
                };
                if !codes.is_empty() {
                    let rows = batch["row_count"].as_primitive::<Int64Type>().value(row).unsigned_abs();
                    used.push(Used { table, column: format!("{prefix}_concept_id"), codes, rows });
                }
            }
        })
        .await?;
    }
    Ok(used)
}

/// The systems that codes came with, as far as no concept was found for them: rows do not say it, the coverage does.
async fn systems(lake: &Lake, present: &BTreeSet<TableName>) -> Result<HashMap<String, Vec<Code>>> {
    let mut systems: HashMap<String, Vec<Code>> = HashMap::new();
    if !present.contains(&TableName::new("quality", "mapping_coverage")) {
        return Ok(systems);
    }
    let session = lake.session(&AsOf::Latest).await?;
    let sql = "select distinct code_system, code from quality.mapping_coverage \
               where code_system is not null and code is not null and concept_id = 0 order by 1, 2";
    for_each(&session, sql, |batch, rows| {
        for row in 0..rows {
            if let Some((system, code)) = text(batch, "code_system", row).zip(text(batch, "code", row)) {
                let cut: String = code.chars().take(SOURCE_VALUE).collect();
                let code = Code::OfSystem { system: system.to_owned(), code: code.to_owned() };
                systems.entry(cut).or_default().push(code);
            }
        }
    })
    .await?;
    Ok(systems)
}

/// The columns that hold the standard concept of a code that is kept beside it, by their common prefix.
fn coded_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_table = |table: &'static omop::Table| {
        let prefixes = table.columns.iter().filter_map(|column| column.name.strip_suffix("_source_concept_id"));
        let is_whole = move |prefix: &&str| {
            table.column(&format!("{prefix}_concept_id")).is_some()
                && table.column(&format!("{prefix}_source_value")).is_some()
        };
        prefixes.filter(is_whole).map(move |prefix| (table.name, prefix))
    };
    omop::tables().iter().filter(|table| table.schema == "cdm").flat_map(of_table)
}

fn text<'b>(batch: &'b RecordBatch, column: &str, row: usize) -> Option<&'b str> {
    let column = batch.column_by_name(column)?.as_string_opt::<i32>()?;
    (!column.is_null(row)).then(|| column.value(row))
}

fn number(batch: &RecordBatch, column: &str, row: usize) -> i32 {
    batch
        .column_by_name(column)
        .and_then(|column| column.as_primitive_opt::<Int32Type>())
        .map_or(0, |ids| ids.value(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_called_by_what_it_does_to_the_rows() {
        let side = |meanings: &[(i32, &str)]| -> Vec<Meaning> {
            let meaning = |(id, domain): &(i32, &str)| Meaning { concept_id: *id, domain_id: (*domain).to_owned() };
            meanings.iter().map(meaning).collect()
        };
        let condition = side(&[(1, "Condition")]);
        let judge = |new: &[(i32, &str)], table| super::judge(&condition, &side(new), table);
        assert_eq!(judge(&[(1, "Condition")], "condition_occurrence"), None);
        assert_eq!(judge(&[], "condition_occurrence"), Some(ChangeKind::BecomesUnmapped));
        assert_eq!(judge(&[(2, "Condition")], "condition_occurrence"), Some(ChangeKind::Concept));
        assert_eq!(judge(&[(1, "Condition"), (2, "Condition")], "condition_occurrence"), Some(ChangeKind::Concept));
        assert_eq!(judge(&[(1, "Observation")], "condition_occurrence"), Some(ChangeKind::Table));
        assert_eq!(judge(&[(1, "Observation")], "visit_occurrence"), Some(ChangeKind::Domain));
        assert_eq!(super::judge(&[], &condition, "observation"), Some(ChangeKind::NewlyMapped));
        assert_eq!(super::judge(&[], &[], "observation"), None);
    }

    #[test]
    fn the_coded_columns_are_those_of_the_specification() {
        let columns: Vec<_> = coded_columns().collect();
        for expected in [("condition_occurrence", "condition"), ("measurement", "unit"), ("death", "cause")] {
            assert!(columns.contains(&expected), "{columns:?}");
        }
        assert!(!columns.contains(&("drug_exposure", "route")));
    }
}
