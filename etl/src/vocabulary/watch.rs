//! What an import remembers of the rows that pass: the concepts that rules and local maps name, the codes that local
//! maps give another target, and the names that the small tables have.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;

/// The first id that OMOP leaves to its users.
pub const FIRST_CUSTOM: i32 = 2_000_000_000;

/// What to look for.
#[derive(Default)]
pub struct Wanted {
    pub concepts: HashSet<i32>,
    /// Vocabulary, then code.
    pub codes: HashMap<String, HashSet<String>>,
}

/// What is known of a concept that was looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub name: String,
    pub domain_id: String,
    pub vocabulary_id: String,
    pub is_standard: bool,
    pub is_valid: bool,
}

/// What has been seen.
#[derive(Default)]
pub struct Seen {
    pub concepts: HashMap<i32, Known>,
    /// The concept of each (vocabulary, code) that was looked for; the standard one of two.
    pub codes: BTreeMap<(String, String), i32>,
    standard_codes: HashSet<i32>,
    /// Ids of the user's own concepts.
    pub custom_ids: HashSet<i32>,
    /// The concepts of `codes` that map to something.
    pub mapped: HashSet<i32>,
    /// First columns of the small tables.
    pub names: HashMap<&'static str, HashSet<String>>,
}

impl Seen {
    /// Looks at rows on their way into a table.
    pub fn look(&mut self, table: &'static str, batch: &RecordBatch, wanted: &Wanted, sources: &HashSet<i32>) {
        match table {
            "concept" => self.look_at_concepts(batch, wanted),
            "concept_relationship" if !sources.is_empty() => self.look_at_relationships(batch, sources),
            "vocabulary" | "domain" | "concept_class" | "relationship" => {
                let names = batch.column(0).as_string::<i32>();
                self.names.entry(table).or_default().extend(names.iter().flatten().map(str::to_owned));
            }
            _ => {}
        }
    }

    fn look_at_concepts(&mut self, batch: &RecordBatch, wanted: &Wanted) {
        let ids = column(batch, "concept_id").as_primitive::<Int32Type>();
        let text = |name: &str| column(batch, name).as_string::<i32>();
        let (vocabularies, codes) = (text("vocabulary_id"), text("concept_code"));
        let (standard, invalid) = (text("standard_concept"), text("invalid_reason"));
        let is_standard = |row: usize| cell(standard, row) == "S";
        for row in 0..batch.num_rows() {
            let id = ids.value(row);
            if wanted.concepts.contains(&id) {
                let known = Known {
                    name: cell(text("concept_name"), row).to_owned(),
                    domain_id: cell(text("domain_id"), row).to_owned(),
                    vocabulary_id: cell(vocabularies, row).to_owned(),
                    is_standard: is_standard(row),
                    is_valid: cell(invalid, row).is_empty(),
                };
                self.concepts.insert(id, known);
            }
            if id >= FIRST_CUSTOM {
                self.custom_ids.insert(id);
            }
            if wanted.codes.is_empty() {
                continue;
            }
            let (vocabulary, code) = (cell(vocabularies, row), cell(codes, row));
            if wanted.codes.get(vocabulary).is_some_and(|codes| codes.contains(code)) {
                if is_standard(row) {
                    self.standard_codes.insert(id);
                }
                let held = self.codes.entry((vocabulary.to_owned(), code.to_owned())).or_insert(id);
                if is_standard(row) {
                    *held = id;
                }
            }
        }
    }

    fn look_at_relationships(&mut self, batch: &RecordBatch, sources: &HashSet<i32>) {
        let from = column(batch, "concept_id_1").as_primitive::<Int32Type>();
        let kinds = column(batch, "relationship_id").as_string::<i32>();
        let invalid = column(batch, "invalid_reason").as_string::<i32>();
        let own = (0..batch.num_rows()).filter(|row| {
            sources.contains(&from.value(*row)) && cell(kinds, *row) == "Maps to" && cell(invalid, *row).is_empty()
        });
        self.mapped.extend(own.map(|row| from.value(row)));
    }

    /// Adds what another thread has seen.
    pub fn merge(&mut self, other: Seen) {
        self.concepts.extend(other.concepts);
        for (code, id) in other.codes {
            let held = self.codes.entry(code).or_insert(id);
            if other.standard_codes.contains(&id) || !self.standard_codes.contains(held) && id < *held {
                *held = id;
            }
        }
        self.standard_codes.extend(other.standard_codes);
        self.custom_ids.extend(other.custom_ids);
        self.mapped.extend(other.mapped);
        for (table, names) in other.names {
            self.names.entry(table).or_default().extend(names);
        }
    }

    /// True when a small table has a row of that name.
    pub fn has_name(&self, table: &str, name: &str) -> bool {
        self.names.get(table).is_some_and(|names| names.contains(name))
    }
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> &'b dyn Array {
    batch.column_by_name(name).expect("batches have the columns of their table")
}

fn cell(column: &StringArray, row: usize) -> &str {
    if column.is_null(row) { "" } else { column.value(row) }
}
