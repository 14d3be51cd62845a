//! No person of the input may be recognised in the OMOP tables: no name, phone, email, identifier or street line.
//!
//! Values are compared as words in lower case. Full names, phones, emails, streets and long identifiers are found
//! inside longer text too; a single name only as the whole value, and not where places and institutions are named
//! or where the word is a concept's name; a short number only in rows of the person whom it identifies. Only hashes
//! of the personal values are held, and no finding repeats them.

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
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::answer::{errored, rows};
use crate::check::{clinical_tables, quoted};
use crate::contents::Contents;
use crate::error::{Result, reading};
use crate::question;

const LONGEST_WORDS: usize = 8;
const REMEMBERED: usize = 100_000;
/// Rows named in a finding.
const LISTED: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Name,
    FullName,
    Phone,
    Email,
    Identifier,
    Street,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Kind::Name => "a name",
            Kind::FullName => "a full name",
            Kind::Phone => "a phone number",
            Kind::Email => "an email address",
            Kind::Identifier => "an identifier",
            Kind::Street => "a street line",
        }
    }
}

/// Hashes of what must not appear.
#[derive(Debug, Default)]
struct Personal {
    /// Found as a whole value and inside text.
    anywhere: HashMap<u64, Kind>,
    /// Found as a whole value.
    whole: HashMap<u64, Kind>,
    /// Short numbers with the person whom they identify.
    own: HashMap<u64, Kind>,
}

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

/// Lower-case words of letters and digits.
fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_alphanumeric() {
            words.extend(character.to_lowercase());
        } else if !words.is_empty() && !words.ends_with(' ') {
            words.push(' ');
        }
    }
    if words.ends_with(' ') {
        words.pop();
    }
    words
}

fn hash(words: &str) -> u64 {
    xxh3_64(words.as_bytes())
}

fn hash_own(person_id: i64, words: &str) -> u64 {
    xxh3_64_with_seed(words.as_bytes(), person_id as u64)
}

fn is_short_number(words: &str) -> bool {
    (4..=8).contains(&words.len()) && words.bytes().all(|byte| byte.is_ascii_digit())
}

impl Personal {
    fn name(&mut self, given: &str, family: &str) {
        let (given, family) = (words(given), words(family));
        for word in given.split(' ').chain(family.split(' ')).chain([given.as_str(), family.as_str()]) {
            if word.chars().filter(|character| character.is_alphabetic()).count() >= 4 {
                self.whole.insert(hash(word), Kind::Name);
            }
        }
        let first = given.split(' ').next().unwrap_or_default();
        if !first.is_empty() && !family.is_empty() && first.len() + family.len() >= 6 {
            for full in [format!("{given} {family}"), format!("{family} {given}"), format!("{first} {family}")] {
                self.anywhere.insert(hash(&full), Kind::FullName);
            }
        }
    }

    fn phone(&mut self, phone: &str) {
        let phone = words(phone);
        let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
        if digits.len() >= 7 {
            self.anywhere.insert(hash(&phone), Kind::Phone);
            self.anywhere.insert(hash(&digits), Kind::Phone);
        }
    }

    fn email(&mut self, email: &str) {
        if email.contains('@') {
            self.anywhere.insert(hash(&words(email)), Kind::Email);
        }
    }

    fn street(&mut self, line: &str) {
        for part in line.split(", ").chain([line]) {
            let part = words(part);
            let numbered = part.chars().any(|character| character.is_ascii_digit());
            if part.contains(' ') && part.len() >= 6 && numbered {
                self.anywhere.insert(hash(&part), Kind::Street);
            }
        }
    }

    fn identifier(&mut self, value: &str, id: &str, person_id: Option<i64>) {
        let (value, id) = (words(value), words(id));
        if value == id {
            return;
        }
        let lettered = value.chars().any(char::is_alphabetic);
        if value.len() >= 9 || (lettered && value.len() >= 6) {
            self.anywhere.insert(hash(&value), Kind::Identifier);
        } else if let Some(person_id) = person_id.filter(|_| is_short_number(&value)) {
            self.own.insert(hash_own(person_id, &value), Kind::Identifier);
        }
    }
}

/// The personal values of the input, as far as its flat tables hold them.
async fn personal_values(session: &SessionContext, contents: &Contents) -> Result<Personal> {
    let mut personal = Personal::default();
    for person in ["patient", "practitioner"] {
        let flat = format!("fhir.{person}");
        let column = |name: &str| {
            if contents.has_columns(&flat, &[name]) { format!("f.{name}") } else { "cast(null as varchar)".into() }
        };
        if contents.has(&flat) {
            let sql = format!(
                "select {}, {}, {}, {}, {} from {flat} as f",
                column("given"),
                column("family"),
                column("phone"),
                column("email"),
                column("address_line")
            );
            each_row(session, &sql, |cell| {
                personal.name(&cell(0), &cell(1));
                personal.phone(&cell(2));
                personal.email(&cell(3));
                personal.street(&cell(4));
            })
            .await?;
        }
        let linked = if person == "patient" && contents.has("quality.crosswalk") {
            "(select resource_id, source_id, min(omop_id) as omop_id from quality.crosswalk \
             where resource_type = 'Patient' and omop_table = 'person' group by resource_id, source_id)"
        } else {
            "(select cast(null as varchar) as resource_id, cast(null as varchar) as source_id, \
             cast(null as bigint) as omop_id)"
        };
        let list = format!("fhir.{person}_identifier");
        let mut sources = Vec::new();
        if contents.has(&list) {
            sources.push((list, format!("{person}_id"), "value"));
        }
        // The list has them all.
        let single = if sources.is_empty() { ["identifier", "mrn", "ssn", "npi"].as_slice() } else { &[] };
        for name in single {
            if contents.has_columns(&flat, &[name]) {
                sources.push((flat.clone(), "id".to_owned(), name));
            }
        }
        for (table, id, value) in sources {
            let sql = format!(
                "select f.{value}, f.{id}, cast(x.omop_id as varchar) from {table} as f left join {linked} as x \
                 on x.resource_id = f.{id} and x.source_id = f.source_id where f.{value} is not null"
            );
            each_row(session, &sql, |cell| personal.identifier(&cell(0), &cell(1), cell(2).parse().ok())).await?;
        }
    }
    Ok(personal)
}

/// Calls `take` with each row's cells as text; null is empty.
async fn each_row(session: &SessionContext, sql: &str, mut take: impl FnMut(&dyn Fn(usize) -> String)) -> Result<()> {
    let what = "the personal values of the input";
    let mut stream = session.sql(sql).await.map_err(reading(what))?.execute_stream().await.map_err(reading(what))?;
    while let Some(batch) = stream.try_next().await.map_err(reading(what))? {
        let columns = batch.columns().iter().map(|column| cast(column, &DataType::Utf8));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            take(&|column: usize| {
                let values = columns[column].as_string::<i32>();
                if values.is_null(row) { String::new() } else { values.value(row).to_owned() }
            });
        }
    }
    Ok(())
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
