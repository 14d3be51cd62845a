//! No person of the input may be recognised in the OMOP tables: no name, phone, email, identifier or street line.
//!
//! Values are compared as words in lower case. Full names, phones, emails, streets and long identifiers are found
//! inside longer text too; a single name only as the whole value, and not where places and institutions are named
//! or where the word is a concept's name; a short number only in rows of the person whom it identifies. Only hashes
//! of the personal values are held, and no finding repeats them.

mod personal;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use model::omop::{ColumnType, Table};
use model::quality::{Category, Check, CheckResult};
use tokio::task::JoinSet;

use crate::answer::errored;
use crate::check::{clinical_tables, quoted};
use crate::contents::Contents;
use crate::error::Result;
use crate::question;
use crate::row::rows;
use personal::{Kind, Personal, hash, hash_own, is_short_number, personal_values, words};

const LONGEST_WORDS: usize = 8;
const REMEMBERED: usize = 100_000;
/// Rows named in a finding.
const LISTED: usize = 3;

/// Looks through every text column of the OMOP tables.
pub(crate) async fn guard(session: &SessionContext, contents: &Contents) -> Result<Vec<CheckResult>> {
    let personal = Arc::new(personal_values(session, contents).await?);
    let mut results = Vec::new();
    for table in clinical_tables() {
        let name = format!("omop.{}", table.name);
        let columns: Vec<&'static str> = table
            .columns
            .iter()
            .filter(|column| matches!(column.data_type, ColumnType::Varchar(_) | ColumnType::Text))
            .map(|column| column.name)
            .filter(|column| contents.column(&name, column).is_some())
            .collect();
        if columns.is_empty() {
            continue;
        }
        let checks: Vec<Check> = columns.iter().map(|column| check(contents, &name, column)).collect();
        if contents.rows(&name) == 0 {
            results.extend(checks.into_iter().map(|check| CheckResult::judged(check, 0, 0)));
            continue;
        }
        match scan(session, table, &columns, &personal).await {
            Ok(findings) => {
                for (check, finding) in checks.into_iter().zip(findings) {
                    results.push(judged(session, contents, check, finding).await?);
                }
            }
            Err(error) => results.extend(checks.into_iter().map(|check| errored(check, error.to_string()))),
        }
    }
    Ok(results)
}

/// What was found in one column.
#[derive(Debug, Default)]
struct Finding {
    values: u64,
    /// Rows by kind, with the first keys.
    hits: BTreeMap<Kind, (u64, Vec<i64>)>,
    /// Rows whose whole value is a single name, by that word.
    names: HashMap<String, (u64, Vec<i64>)>,
}

fn add(hit: &mut (u64, Vec<i64>), rows: u64, keys: &[i64]) {
    hit.0 += rows;
    hit.1.extend_from_slice(keys);
    hit.1.sort_unstable();
    hit.1.truncate(LISTED);
}

impl Finding {
    fn merge(&mut self, other: Finding) {
        self.values += other.values;
        for (kind, (rows, keys)) in other.hits {
            add(self.hits.entry(kind).or_default(), rows, &keys);
        }
        for (word, (rows, keys)) in other.names {
            add(self.names.entry(word).or_default(), rows, &keys);
        }
    }
}

async fn judged(
    session: &SessionContext,
    contents: &Contents,
    check: Check,
    mut finding: Finding,
) -> Result<CheckResult> {
    if !finding.names.is_empty() && contents.has("vocabulary.concept") {
        let words: Vec<String> = finding.names.keys().take(1000).map(|word| quoted(word)).collect();
        let sql = format!(
            "select distinct lower(concept_name) from vocabulary.concept where lower(concept_name) in ({})",
            words.join(", ")
        );
        for row in rows(session, "the vocabulary", &sql).await? {
            finding.names.remove(&row.text(0).unwrap_or_default());
        }
    }
    for (rows, keys) in finding.names.into_values() {
        add(finding.hits.entry(Kind::Name).or_default(), rows, &keys);
    }
    let violations = finding.hits.values().map(|(rows, _)| rows).sum();
    let mut result = CheckResult::judged(check, finding.values, violations);
    let words: Vec<String> = finding
        .hits
        .iter()
        .map(|(kind, (rows, keys))| {
            let keys: Vec<_> = keys.iter().map(i64::to_string).collect();
            format!("{} in {rows} rows, such as {}", kind.words(), keys.join(", "))
        })
        .collect();
    result.message = (!words.is_empty()).then(|| words.join("; "));
    Ok(result)
}

fn check(contents: &Contents, table: &str, column: &str) -> Check {
    let sentence = format!("`{column}` holds no name, phone, email, identifier or street of a person of the input.");
    let mut check = question::check(Category::Conformance, "noPersonalData", table, Some(column), sentence);
    let mut parts = Vec::new();
    for person in ["fhir.patient", "fhir.practitioner"] {
        for source in ["phone", "email", "address_line", "concat(given, ' ', family)"] {
            if contents.has(person) {
                parts.push(format!("select lower({source}) as value from {person}"));
            }
        }
    }
    for list in ["fhir.patient_identifier", "fhir.practitioner_identifier"] {
        if contents.has(list) {
            parts.push(format!("select lower(value) from {list} where length(value) > 8"));
        }
    }
    let personal = if parts.is_empty() { "select null as value".to_owned() } else { parts.join(" union ") };
    check.sql = format!(
        "-- whole values only; the guard also looks inside text\n\
         select count(t.{column}) as row_count, count(p.value) as violation_count\n\
         from {table} as t left join ({personal}) as p on p.value = lower(t.{column})"
    );
    check
}

async fn scan(
    session: &SessionContext,
    table: &'static Table,
    columns: &[&'static str],
    personal: &Arc<Personal>,
) -> Result<Vec<Finding>, DataFusionError> {
    let person = table.column("person_id").map_or("cast(null as bigint)", |_| "person_id");
    let key = table.key().map_or(person, |key| key.name);
    let sql = format!("select {key} as k, {person} as p, {} from omop.{}", columns.join(", "), table.name);
    let mut tasks = JoinSet::new();
    for mut stream in session.sql(&sql).await?.execute_stream_partitioned().await? {
        let (personal, columns) = (personal.clone(), columns.to_vec());
        tasks.spawn(async move {
            let mut scanner = Scanner::new(&personal, table.name, columns.len());
            while let Some(batch) = stream.try_next().await? {
                scanner.scan(&batch)?;
            }
            Ok::<_, DataFusionError>(scanner.findings)
        });
    }
    let mut total: Vec<Finding> = columns.iter().map(|_| Finding::default()).collect();
    while let Some(done) = tasks.join_next().await {
        let part = done.map_err(|panic| DataFusionError::External(panic.into()))??;
        total.iter_mut().zip(part).for_each(|(sum, part)| sum.merge(part));
    }
    Ok(total)
}

/// What is known of a value once seen.
#[derive(Clone, Copy)]
struct Verdict {
    hit: Option<Kind>,
    is_short_number: bool,
}

struct Scanner<'a> {
    personal: &'a Personal,
    names_people: bool,
    verdicts: HashMap<u64, Verdict>,
    findings: Vec<Finding>,
}

impl<'a> Scanner<'a> {
    fn new(personal: &'a Personal, table: &str, columns: usize) -> Self {
        let names_people = !matches!(table, "location" | "care_site");
        let findings = (0..columns).map(|_| Finding::default()).collect();
        Scanner { personal, names_people, verdicts: HashMap::new(), findings }
    }

    fn scan(&mut self, batch: &RecordBatch) -> Result<(), DataFusionError> {
        let keys = cast(batch.column(0), &DataType::Int64)?;
        let people = cast(batch.column(1), &DataType::Int64)?;
        let (keys, people) = (keys.as_primitive::<Int64Type>(), people.as_primitive::<Int64Type>());
        for column in 2..batch.num_columns() {
            let values = cast(batch.column(column), &DataType::Utf8)?;
            let values = values.as_string::<i32>();
            for row in (0..batch.num_rows()).filter(|row| values.is_valid(*row)) {
                let value = values.value(row);
                self.findings[column - 2].values += 1;
                let verdict = self.verdict(value);
                let finding = &mut self.findings[column - 2];
                let key = if keys.is_valid(row) { keys.value(row) } else { 0 };
                match verdict.hit {
                    Some(Kind::Name) => add(finding.names.entry(words(value)).or_default(), 1, &[key]),
                    Some(kind) => add(finding.hits.entry(kind).or_default(), 1, &[key]),
                    None if verdict.is_short_number && people.is_valid(row) => {
                        if let Some(kind) = self.personal.own.get(&hash_own(people.value(row), &words(value))) {
                            add(finding.hits.entry(*kind).or_default(), 1, &[key]);
                        }
                    }
                    None => {}
                }
            }
        }
        Ok(())
    }

    fn verdict(&mut self, value: &str) -> Verdict {
        let raw = hash(value);
        if let Some(known) = self.verdicts.get(&raw) {
            return *known;
        }
        let words = words(value);
        let verdict = Verdict { hit: self.look(&words), is_short_number: is_short_number(&words) };
        if self.verdicts.len() >= REMEMBERED {
            self.verdicts.clear();
        }
        self.verdicts.insert(raw, verdict);
        verdict
    }

    fn look(&self, words: &str) -> Option<Kind> {
        if let Some(kind) = self.personal.anywhere.get(&hash(words)) {
            return Some(*kind);
        }
        let starts: Vec<usize> =
            std::iter::once(0).chain(words.match_indices(' ').map(|(index, _)| index + 1)).collect();
        let ends: Vec<usize> = words.match_indices(' ').map(|(index, _)| index).chain([words.len()]).collect();
        for (first, start) in starts.iter().enumerate() {
            for end in &ends[first..ends.len().min(first + LONGEST_WORDS)] {
                if let Some(kind) = self.personal.anywhere.get(&hash(&words[*start..*end])) {
                    return Some(*kind);
                }
            }
        }
        if self.names_people { self.personal.whole.get(&hash(words)).copied() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn personal() -> Personal {
        let mut personal = Personal::default();
        personal.name("Anna Maria", "Petersen");
        personal.phone("(555) 123-4567");
        personal.email("anna@petersen.example");
        personal.street("12 Elm Street, Apt 4");
        personal.identifier("MRN-778812", "a", Some(1));
        personal.identifier("48812", "a", Some(1));
        personal.identifier("a-b", "a-b", Some(1));
        personal
    }

    fn look(table: &str, text: &str) -> Option<Kind> {
        let personal = personal();
        let mut scanner = Scanner::new(&personal, table, 0);
        scanner.verdict(text).hit
    }

    #[test]
    fn personal_values_are_found_whole_and_inside_text() {
        assert_eq!(look("note", "Seen today: Anna Petersen, well."), Some(Kind::FullName));
        assert_eq!(look("note", "call 555.123.4567 at noon"), Some(Kind::Phone));
        assert_eq!(look("note", "5551234567"), Some(Kind::Phone));
        assert_eq!(look("note", "lives at 12 ELM street"), Some(Kind::Street));
        assert_eq!(look("note", "anna@petersen.example"), Some(Kind::Email));
        assert_eq!(look("person", "mrn 778812"), Some(Kind::Identifier));
        assert_eq!(look("person", "Petersen"), Some(Kind::Name));
    }

    #[test]
    fn ordinary_words_are_not_personal() {
        assert_eq!(look("note", "Anna is a name, 555 a number"), None);
        assert_eq!(look("location", "Petersen"), None);
        assert_eq!(look("person", "a-b"), None);
        assert_eq!(look("observation", "48812"), None);
        assert!(personal().own.contains_key(&hash_own(1, "48812")));
        assert!(!personal().own.contains_key(&hash_own(2, "48812")));
    }
}
