//! What the mapping says about a case, as it stands in its file.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use model::document::Resource;
use model::omop::key::omop_key;
use model::omop::{Builders, ColumnType, Row, tables};
use serde_json::Value;

use super::SOURCE;
use crate::map::{Judgement, Mapped};
use crate::vocabulary::Vocabulary;

const WIDTH: usize = 116;

/// The starter vocabulary and, from `vocabulary.csv` and `relationship.csv`, what only these cases need.
pub struct Words {
    pub vocabulary: Vocabulary,
    names: HashMap<i32, String>,
    type_concepts: HashSet<i32>,
}

impl Words {
    pub fn read(folder: &Path) -> Words {
        let records = |name: &str| -> Vec<csv::StringRecord> {
            let mut reader = csv::Reader::from_path(folder.join(name)).unwrap();
            reader.records().map(Result::unwrap).collect()
        };
        let concepts = records("vocabulary.csv");
        let relationships = records("relationship.csv");
        let mut names = HashMap::new();
        let mut type_concepts = HashSet::new();
        for concept in model::vocabulary::starter_concepts() {
            names.insert(concept.concept_id, concept.concept_name.to_owned());
            if concept.domain_id == "Type Concept" && concept.is_standard() {
                type_concepts.insert(concept.concept_id);
            }
        }
        names.extend(concepts.iter().map(|row| (row[0].parse().unwrap(), row[1].to_owned())));
        Words { vocabulary: Vocabulary::starter_with(&concepts, &relationships), names, type_concepts }
    }
}

/// What each key stands for: `Patient/p`, or `Observation/o component[0]` for a part of a resource.
pub fn labels(json: &str, others: &[String], resource: &Resource<'_>, mapped: &Mapped<'_>) -> HashMap<i64, String> {
    let own = format!("{}/{}", resource.resource_type, resource.id);
    let mut labels = HashMap::new();
    let mut names = vec![own.clone()];
    for text in others.iter().map(String::as_str).chain([json]) {
        if let Ok(value) = serde_json::from_str::<Value>(text) {
            collect_names(&value, &mut names);
        }
    }
    for name in names {
        for table in tables() {
            labels.insert(omop_key(SOURCE, &name, table.name, ""), name.clone());
        }
    }
    for row in mapped.rows.iter().filter(|row| !row.part.is_empty()) {
        labels.insert(omop_key(SOURCE, &own, row.row.table().name, &row.part), format!("{own} {}", row.part));
    }
    for row in &mapped.rows {
        if let Row::Location(location) = &row.row {
            labels.insert(location.location_id, "its place".to_owned());
        }
    }
    labels
}

fn collect_names(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let (Some(Value::String(of)), Some(Value::String(id))) = (members.get("resourceType"), members.get("id"))
            {
                names.push(format!("{of}/{id}"));
            }
            if let Some(Value::String(reference)) = members.get("reference") {
                names.push(reference.clone());
            }
            members.values().for_each(|value| collect_names(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_names(item, names)),
        _ => {}
    }
}

/// The answer as it stands in a file.
pub fn answer(mapped: &Mapped<'_>, labels: &HashMap<i64, String>, words: &Words, case: &str) -> String {
    match &mapped.judgement {
        Judgement::Excluded { reason, detail } => {
            return format!("  expect: {}\n", scalar(&format!("excluded {reason} ({detail})")));
        }
        Judgement::Rejected { field, reason, .. } => {
            let field = field.clone().unwrap_or_default();
            return format!("  expect: {}\n", scalar(&format!("rejected {reason} {field}")));
        }
        Judgement::Mapped => {}
    }
    let mut text = "  expect:\n".to_owned();
    let mut by_table: Vec<(&str, Vec<&Row<'_>>)> = Vec::new();
    for row in &mapped.rows {
        let name = row.row.table().name;
        match by_table.iter_mut().find(|(table, _)| *table == name) {
            Some((_, rows)) => rows.push(&row.row),
            None => by_table.push((name, vec![&row.row])),
        }
    }
    for (table, rows) in by_table {
        let _ = writeln!(text, "    {table}:");
        for row in rows {
            let cells = cells(row, labels, words, case);
            text += &wrapped("    - {", &cells, "}");
        }
    }
    if !mapped.losses.is_empty() {
        let losses: Vec<String> =
            mapped.losses.iter().map(|loss| scalar(&format!("{} {}", loss.element, loss.reason))).collect();
        text += &wrapped("    lost: [", &losses, "]");
    }
    text
}

/// `open` and the cells and `close`, over as many lines as it takes.
fn wrapped(open: &str, cells: &[String], close: &str) -> String {
    let (mut text, mut line) = (String::new(), open.to_owned());
    for (index, cell) in cells.iter().enumerate() {
        let end = if index + 1 == cells.len() { close } else { "," };
        if line.len() + cell.len() + end.len() >= WIDTH && line.trim_end() != open {
            text += line.trim_end();
            text.push('\n');
            line = " ".repeat(open.len());
        }
        line += cell;
        line += end;
        line.push(' ');
    }
    text += line.trim_end();
    text.push('\n');
    text
}

/// `column: value` of every column that holds something, and what must hold for any row.
fn cells(row: &Row<'_>, labels: &HashMap<i64, String>, words: &Words, case: &str) -> Vec<String> {
    let mut builders = Builders::default();
    builders.append(row);
    let (table, columns) = builders.finish().pop().unwrap();
    let mut cells = Vec::new();
    for (column, values) in table.columns.iter().zip(columns) {
        if values.is_null(0) {
            continue;
        }
        let name = column.name;
        let value = match column.data_type {
            ColumnType::Integer => {
                let number = values.as_primitive::<Int32Type>().value(0);
                let is_concept = name.ends_with("concept_id") || name.contains("concept_id_");
                if is_concept && number != 0 {
                    check_concept(name, number, words, case);
                }
                match words.names.get(&number).filter(|_| is_concept && number != 0) {
                    Some(of) => scalar(&format!("{number} {of}")),
                    None => number.to_string(),
                }
            }
            ColumnType::Key => {
                let key = values.as_primitive::<Int64Type>().value(0);
                labels.get(&key).map_or_else(|| key.to_string(), |label| scalar(label))
            }
            ColumnType::Float => values.as_primitive::<Float64Type>().value(0).to_string(),
            ColumnType::Date => values.as_primitive::<Date32Type>().value_as_date(0).unwrap().to_string(),
            ColumnType::Datetime => {
                let moment = values.as_primitive::<TimestampMicrosecondType>().value_as_datetime(0).unwrap();
                scalar(&moment.format("%Y-%m-%dT%H:%M:%S%.f").to_string())
            }
            ColumnType::Varchar(length) => {
                let text = values.as_string::<i32>().value(0);
                assert!(text.chars().count() <= usize::from(length), "{case}: `{name}` is too long");
                scalar(text)
            }
            ColumnType::Text => scalar(values.as_string::<i32>().value(0)),
        };
        cells.push(format!("{name}: {value}"));
    }
    cells
}

/// f2o-031 and f2o-050: only standard concepts, and type concepts where types are asked for.
fn check_concept(name: &str, concept_id: i32, words: &Words, case: &str) {
    let concept = words.vocabulary.concept(concept_id);
    if name.ends_with("_type_concept_id") {
        assert!(words.type_concepts.contains(&concept_id), "{case}: `{name}` {concept_id} is no type concept");
    } else if !name.ends_with("_source_concept_id") {
        assert!(concept.is_some_and(|concept| concept.is_standard), "{case}: `{name}` {concept_id} is not standard");
    }
}

/// A YAML scalar for a flow collection; in quotes where it would not be read as the text that it is.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " _-./()+;=<>%".contains(c))
        && !text.ends_with(' ')
        && text.parse::<f64>().is_err()
        && !["true", "false", "null"].contains(&text);
    if is_plain { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}
