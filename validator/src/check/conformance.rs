//! Does the data keep to the specification? Every question here is derived from `model::omop::tables()`.

use arrow::datatypes::DataType;
use model::omop::{Column, ColumnType, Table};
use model::quality::Category;

use super::{clinical_tables, join};
use crate::contents::{Contents, same_type};
use crate::question::{self, Known, Question, concept_check, query_check, row_check};

/// Conformance checks of all clinical tables, and the uniqueness of concepts on which others rest.
pub(super) fn questions(contents: &Contents) -> Vec<Question> {
    let mut all = Vec::new();
    for table in clinical_tables() {
        let name = format!("omop.{}", table.name);
        let exists = contents.has(&name);
        let check = check("cdmTable", &name, None, format!("`{name}` exists."));
        all.push(known(check, exists, format!("table `{name}` is missing")));
        for column in table.columns {
            structure(&mut all, contents, &name, column);
            if contents.column(&name, column.name).is_some() {
                content(&mut all, contents, &name, table, column);
            }
        }
    }
    if contents.has("vocabulary.concept") {
        all.push(unique("vocabulary.concept", "concept_id"));
    }
    all
}

/// Is the column there, with its type?
fn structure(all: &mut Vec<Question>, contents: &Contents, name: &str, column: &Column) {
    let found = contents.column(name, column.name);
    let field = check("cdmField", name, Some(column.name), format!("`{}` is a column of `{name}`.", column.name));
    all.push(known(field, found.is_some(), format!("table `{name}` has no column `{}`", column.name)));
    if matches!(column.data_type, ColumnType::Varchar(_)) {
        return;
    }
    let expected = column.data_type.arrow();
    let sentence = format!("`{}` holds {}.", column.name, words(&expected));
    let data_type = check("cdmDatatype", name, Some(column.name), sentence);
    let fits = found.is_none_or(|found| same_type(found, &expected));
    let message = format!("found type {}, expected {expected}", found.map(ToString::to_string).unwrap_or_default());
    all.push(known(data_type, fits, message));
}

/// Do the values keep to the column's rules?
fn content(all: &mut Vec<Question>, contents: &Contents, name: &str, table: &Table, column: &Column) {
    let value = format!("t.{}", column.name);
    let present = format!("{value} is not null");
    if let ColumnType::Varchar(length) = column.data_type {
        let sentence = format!("`{}` holds at most {length} characters.", column.name);
        let check = check("cdmDatatype", name, Some(column.name), sentence);
        all.push(row_check(check, Vec::new(), &present, &format!("character_length({value}) > {length}")));
    }
    if column.required {
        let check = check("isRequired", name, Some(column.name), format!("`{}` is never null.", column.name));
        all.push(row_check(check, Vec::new(), "true", &format!("{value} is null")));
    }
    if column.primary_key {
        all.push(unique(name, column.name));
    }
    match column.references {
        Some("concept") => concept(all, contents, name, column),
        Some(target) => reference(all, contents, name, table, column, target),
        None => {}
    }
}

fn reference(
    all: &mut Vec<Question>,
    contents: &Contents,
    name: &str,
    table: &Table,
    column: &Column,
    target: &'static str,
) {
    let Some(pointed) = model::omop::table(target) else { return };
    let target_name = format!("{}.{target}", if pointed.schema == "vocab" { "vocabulary" } else { "omop" });
    let key = pointed.columns.iter().find(|column| column.primary_key);
    let Some(key) = key.filter(|_| contents.has(&target_name)) else { return };
    let value = format!("t.{}", column.name);
    let (joined, id) = match (target, column.name) {
        ("person", "person_id") if table.name != "person" => (join::person(), "person.person_id".to_owned()),
        ("visit_occurrence", "visit_occurrence_id") => (join::visit(), "visit.visit_occurrence_id".to_owned()),
        _ => (join::target(column.name, &target_name, key.name), format!("{}_target.id", column.name)),
    };
    let sentence = format!("`{}` points to a row of `{target_name}`.", column.name);
    let check = check("isForeignKey", name, Some(column.name), sentence);
    all.push(row_check(check, vec![joined], &format!("{value} is not null"), &format!("{id} is null")));
}

/// Concept 0, "No matching concept", is always allowed: how often it is used is a question of completeness.
fn concept(all: &mut Vec<Question>, contents: &Contents, name: &str, column: &Column) {
    if !contents.has("vocabulary.concept") {
        return;
    }
    let mut ask = |check_name: &str, sentence: String, violates: &str| {
        let check = check(check_name, name, Some(column.name), sentence);
        all.push(concept_check(check, column.name, violates));
    };
    let field = column.name;
    ask(
        "isForeignKey",
        format!("`{field}` is a concept of the vocabulary."),
        "u.concept_id <> 0 and c.concept_id is null",
    );
    if let Some(domain) = column.domain {
        let domains: Vec<_> = domain.split('|').map(|domain| format!("'{domain}'")).collect();
        ask(
            "fkDomain",
            format!("`{field}` is a concept of domain {}.", domain.replace('|', " or ")),
            &format!("u.concept_id <> 0 and c.domain_id not in ({})", domains.join(", ")),
        );
    }
    if name.ends_with("_era") && field == "drug_concept_id" {
        ask(
            "fkClass",
            format!("`{field}` is an ingredient."),
            "u.concept_id <> 0 and c.concept_class_id <> 'Ingredient'",
        );
    }
    // Domains are concepts, none of them standard.
    if !field.contains("source_concept") && !field.starts_with("domain_concept") {
        ask(
            "isStandardValidConcept",
            format!("`{field}` is a standard, valid concept."),
            "u.concept_id <> 0 and c.concept_id is not null \
             and ((c.standard_concept is distinct from 'S') or coalesce(c.invalid_reason, '') <> '')",
        );
    }
    if field.ends_with("_type_concept_id") && column.required {
        ask(
            "typeConceptIsKnown",
            format!("`{field}` says where the record comes from: never concept 0."),
            "u.concept_id = 0",
        );
    }
}

fn unique(table: &str, key: &str) -> Question {
    let check = check("isPrimaryKey", table, Some(key), format!("`{key}` is unique."));
    query_check(
        check,
        format!(
            "select coalesce(sum(n), 0) as row_count, coalesce(sum(case when n > 1 then n else 0 end), 0) as violation_count\n\
             from (select count(*) as n from {table} group by {key}) as k"
        ),
    )
}

fn check(name: &str, table: &str, column: Option<&str>, description: String) -> model::quality::Check {
    question::check(Category::Conformance, name, table, column, description)
}

fn known(mut check: model::quality::Check, holds: bool, message: String) -> Question {
    let (namespace, table) = check.table.split_once('.').unwrap_or(("omop", &check.table));
    let column = check.column.as_ref().map(|column| format!(" and column_name = '{column}'")).unwrap_or_default();
    check.sql = format!(
        "select 1 as row_count, case when count(*) = 0 then 1 else 0 end as violation_count\n\
         from information_schema.columns where table_schema = '{namespace}' and table_name = '{table}'{column}"
    );
    let message = (!holds).then_some(message);
    Question::Known(check, Known { row_count: 1, violation_count: u64::from(!holds), message })
}

fn words(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int32 => "32-bit whole numbers",
        DataType::Int64 => "64-bit keys",
        DataType::Float64 => "decimal numbers",
        DataType::Date32 => "dates",
        DataType::Timestamp(..) => "moments in UTC",
        _ => "text",
    }
}
