//! Turns the tables of `vocabulary/` and `constraint/` into static arrays and named constants: nothing is parsed when
//! the program runs, and a rule that is misspelt or missing does not compile.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;

/// What a cell becomes in Rust.
#[derive(Clone, Copy)]
pub enum Cell {
    Text,
    OptionalText,
    Integer,
    OptionalInteger,
    Float,
    Flag,
    Date,
}
use Cell::*;

type Columns = &'static [(&'static str, Cell)];

const CONCEPT: Columns = &[
    ("concept_id", Integer),
    ("concept_name", Text),
    ("domain_id", Text),
    ("vocabulary_id", Text),
    ("concept_class_id", Text),
    ("standard_concept", OptionalText),
    ("concept_code", Text),
    ("valid_start_date", Date),
    ("valid_end_date", Date),
    ("invalid_reason", OptionalText),
];
const RELATIONSHIP: Columns = &[("concept_id_1", Integer), ("concept_id_2", Integer), ("relationship_id", Text)];
const ANCESTOR: Columns = &[
    ("ancestor_concept_id", Integer),
    ("descendant_concept_id", Integer),
    ("min_levels_of_separation", Integer),
    ("max_levels_of_separation", Integer),
    ("note", Text),
];
const CODE_SYSTEM: Columns = &[("uri", Text), ("oid", OptionalText), ("vocabulary_id", Text)];
const VOCABULARY: Columns = &[
    ("vocabulary_id", Text),
    ("vocabulary_name", Text),
    ("vocabulary_reference", OptionalText),
    ("vocabulary_version", OptionalText),
    ("vocabulary_concept_id", Integer),
];
const DOMAIN: Columns = &[("domain_id", Text), ("domain_name", Text), ("domain_concept_id", Integer)];
const CONCEPT_CLASS: Columns =
    &[("concept_class_id", Text), ("concept_class_name", Text), ("concept_class_concept_id", Integer)];
const RELATIONSHIP_KIND: Columns = &[
    ("relationship_id", Text),
    ("relationship_name", Text),
    ("is_hierarchical", Flag),
    ("defines_ancestry", Flag),
    ("reverse_relationship_id", Text),
    ("relationship_concept_id", Integer),
];
const RULE: Columns = &[
    ("rule", Text),
    ("concept_id", Integer),
    ("expected_name", Text),
    ("expected_domain", Text),
    ("standard_concept", OptionalText),
    ("note", Text),
];
const VALUE: Columns = &[
    ("map", Text),
    ("source_system", Text),
    ("source_code", Text),
    ("rule", OptionalText),
    ("concept_id", Integer),
    ("note", Text),
];

const VALUE_RANGE: Columns =
    &[("vocabulary_id", Text), ("code", Text), ("unit", Text), ("low", Float), ("high", Float), ("note", Text)];
const AGE_RANGE: Columns = &[
    ("vocabulary_id", Text),
    ("code", Text),
    ("youngest", OptionalInteger),
    ("oldest", OptionalInteger),
    ("note", Text),
];
const SEX: Columns = &[("vocabulary_id", Text), ("code", Text), ("gender", Text), ("note", Text)];
const REQUIREMENT: Columns = &[
    ("rule", Text),
    ("vocabulary_id", Text),
    ("code", Text),
    ("required_vocabulary_id", Text),
    ("required_code", Text),
    ("note", Text),
];
const EXCLUSION: Columns = &[
    ("rule", Text),
    ("vocabulary_id", Text),
    ("code", Text),
    ("excluded_vocabulary_id", Text),
    ("excluded_code", Text),
    ("note", Text),
];
const DATE_ORDER: Columns =
    &[("table_name", Text), ("earlier", Text), ("later", Text), ("tolerance_days", Integer), ("note", Text)];

/// The code of `model::constraint`'s tables.
pub fn constraint() -> String {
    let mut code = String::new();
    write_table(&mut code, "VALUE_RANGES", "ValueRange", VALUE_RANGE, &read("constraint/value_range.csv"));
    write_table(&mut code, "AGE_RANGES", "AgeRange", AGE_RANGE, &read("constraint/age_range.csv"));
    write_table(&mut code, "SEXES", "Sex", SEX, &read("constraint/sex.csv"));
    write_table(&mut code, "REQUIREMENTS", "Requirement", REQUIREMENT, &read("constraint/requires.csv"));
    write_table(&mut code, "EXCLUSIONS", "Exclusion", EXCLUSION, &read("constraint/excludes.csv"));
    write_table(&mut code, "DATE_ORDERS", "DateOrder", DATE_ORDER, &read("constraint/date_order.csv"));
    code
}

/// The code of `model::vocabulary`'s tables.
pub fn vocabulary() -> String {
    let mut code = String::new();
    let mut concepts = read("vocabulary/concept.csv");
    concepts.sort_by_key(|row| row["concept_id"].parse::<i32>().expect("concept ids are numbers"));
    write_table(&mut code, "CONCEPTS", "Concept", CONCEPT, &concepts);
    let mut relationships = read("vocabulary/concept_relationship.csv");
    relationships.sort_by_key(|row| row["concept_id_1"].parse::<i32>().expect("concept ids are numbers"));
    write_table(&mut code, "RELATIONSHIPS", "Relationship", RELATIONSHIP, &relationships);
    let mut ancestors = read("vocabulary/concept_ancestor.csv");
    ancestors.sort_by_key(|row| row["descendant_concept_id"].parse::<i32>().expect("concept ids are numbers"));
    write_table(&mut code, "ANCESTORS", "Ancestor", ANCESTOR, &ancestors);
    write_table(&mut code, "CODE_SYSTEMS", "CodeSystem", CODE_SYSTEM, &read("vocabulary/code_system.csv"));

    let mut rules = read("vocabulary/rule_concept.csv");
    rules.sort_by(|a, b| a["rule"].cmp(&b["rule"]));
    write_table(&mut code, "RULES", "RuleConcept", RULE, &rules);
    write_constants(&mut code, &rules);

    let ids: HashMap<_, _> = rules.iter().map(|row| (&row["rule"], &row["concept_id"])).collect();
    let mut values = read("vocabulary/value_map.csv");
    for row in &mut values {
        let rule = &row["rule"];
        let id = if rule.is_empty() { "0".into() } else { ids.get(rule).expect(rule).to_string() };
        row.insert("concept_id".into(), id);
    }
    values.sort_by(|a, b| (&a["map"], &a["source_code"]).cmp(&(&b["map"], &b["source_code"])));
    write_table(&mut code, "VALUES", "ValueMapping", VALUE, &values);
    code
}

/// The code of `model::vocabulary::metadata`'s tables.
pub fn metadata() -> String {
    let mut code = String::new();
    write_table(&mut code, "VOCABULARIES", "Vocabulary", VOCABULARY, &read("vocabulary/vocabulary.csv"));
    write_table(&mut code, "DOMAINS", "Domain", DOMAIN, &read("vocabulary/domain.csv"));
    write_table(&mut code, "CONCEPT_CLASSES", "ConceptClass", CONCEPT_CLASS, &read("vocabulary/concept_class.csv"));
    let kinds = read("vocabulary/relationship.csv");
    write_table(&mut code, "RELATIONSHIP_KINDS", "RelationshipKind", RELATIONSHIP_KIND, &kinds);
    code
}

/// `type.ehr_prescription` becomes `rule::TYPE_EHR_PRESCRIPTION`.
fn write_constants(code: &mut String, rules: &[Row]) {
    writeln!(code, "/// The concept ids that the mapping rules name, as constants.\npub mod rule {{").unwrap();
    for row in rules {
        let name = row["rule"].replace('.', "_").to_uppercase();
        writeln!(code, "/// {} ({}).", row["expected_name"].replace('<', "\\<"), row["expected_domain"]).unwrap();
        writeln!(code, "pub const {name}: i32 = {};", row["concept_id"]).unwrap();
    }
    writeln!(code, "}}").unwrap();
}

type Row = HashMap<String, String>;

fn write_table(code: &mut String, name: &str, row_type: &str, columns: Columns, rows: &[Row]) {
    writeln!(code, "static {name}: [{row_type}; {}] = [", rows.len()).unwrap();
    for row in rows {
        write!(code, "{row_type} {{ ").unwrap();
        for (column, cell) in columns {
            let text = row.get(*column).unwrap_or_else(|| panic!("{name} has no column {column}"));
            write!(code, "{column}: {}, ", literal(text, *cell)).unwrap();
        }
        writeln!(code, "}},").unwrap();
    }
    writeln!(code, "];").unwrap();
}

fn literal(text: &str, cell: Cell) -> String {
    match cell {
        Text => format!("{text:?}"),
        OptionalText if text.is_empty() => "None".into(),
        OptionalText => format!("Some({text:?})"),
        Integer => text.parse::<i32>().expect(text).to_string(),
        OptionalInteger if text.is_empty() => "None".into(),
        OptionalInteger => format!("Some({})", text.parse::<i32>().expect(text)),
        Float => format!("{:?}", text.parse::<f64>().expect(text)),
        Flag => (text == "1" || text == "y").to_string(),
        Date => {
            let part: Vec<u32> = text.split('-').map(|part| part.parse().expect(text)).collect();
            format!("date({}, {}, {})", part[0], part[1], part[2])
        }
    }
}

fn read(path: &str) -> Vec<Row> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut lines = text.lines().map(split);
    let header = lines.next().expect("a header line");
    lines
        .map(|cells| {
            assert_eq!(cells.len(), header.len(), "{path}: {cells:?}");
            header.iter().cloned().zip(cells).collect()
        })
        .collect()
}

/// One CSV line; a quoted cell may hold commas and doubled quotes, no line breaks.
fn split(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => cell.push(letters.next().expect("just peeked")),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            _ => cell.push(letter),
        }
    }
    cells.push(cell);
    cells
}
