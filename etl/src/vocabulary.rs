//! Concepts, their maps to standard concepts, and the import of a vocabulary download.
//!
//! One [`Vocabulary`] is built per run, from the lake's `vocabulary` tables or from the starter that is compiled in, and
//! then answers every look-up from memory.

mod domain;
mod finding;
mod import;
mod index;
mod look_up;
mod resolution;
mod self_check;
mod stored;

use std::collections::HashMap;

pub use domain::Domain;
pub(crate) use finding::Finding;
pub use import::{ImportOutcome, import};
pub use index::Concept;
use index::Index;
pub(crate) use look_up::Spelling;
pub use resolution::{Priority, Resolution, Target};
pub(crate) use self_check::{ConceptCheck, check_rows, self_check};
pub use stored::{Info, info, write_starter};

/// The concepts in memory, ready for look-up.
pub struct Vocabulary {
    index: Index,
    /// System URI or `urn:oid:…` to the index's number of the vocabulary.
    systems: HashMap<String, u16>,
    version: String,
    is_in_lake: bool,
}

impl Vocabulary {
    /// The starter: what the bundled modules emit and the rules name.
    pub fn starter() -> Vocabulary {
        let mut index = index::IndexBuilder::default();
        for concept in model::vocabulary::starter_concepts() {
            index.add_concept(&index::ConceptRow {
                concept_id: concept.concept_id,
                domain_id: concept.domain_id,
                vocabulary_id: concept.vocabulary_id,
                concept_class_id: concept.concept_class_id,
                standard_concept: concept.standard_concept.unwrap_or_default(),
                concept_code: concept.concept_code,
                invalid_reason: concept.invalid_reason.unwrap_or_default(),
            });
        }
        for relationship in model::vocabulary::starter_relationships() {
            index.add_relationship(relationship.relationship_id, relationship.concept_id_1, relationship.concept_id_2);
        }
        Vocabulary::new(index, format!("starter {}", env!("CARGO_PKG_VERSION")))
    }

    fn new(builder: index::IndexBuilder, version: String) -> Vocabulary {
        let index = builder.finish();
        let mut systems = HashMap::new();
        for system in model::vocabulary::code_systems() {
            let Some(number) = index.vocabulary_number(system.vocabulary_id) else {
                continue;
            };
            systems.insert(system.uri.to_owned(), number);
            if let Some(oid) = system.oid {
                systems.insert(format!("urn:oid:{oid}"), number);
            }
        }
        Vocabulary { index, systems, version, is_in_lake: false }
    }

    /// The release: the `None` row of the `vocabulary` table, or the starter's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// False when the starter has yet to be written to the lake, see [`write_starter`].
    pub fn is_in_lake(&self) -> bool {
        self.is_in_lake
    }

    /// How many concepts there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True when there is no concept.
    pub fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// The concept with that id.
    pub fn concept(&self, concept_id: i32) -> Option<Concept<'_>> {
        self.index.concept(concept_id)
    }

    /// The concept of a code; the standard one where a vocabulary gives the code twice.
    pub fn concept_of_code(&self, vocabulary_id: &str, code: &str) -> Option<Concept<'_>> {
        self.index.concept_of_code(self.index.vocabulary_number(vocabulary_id)?, code)
    }

    /// The valid standard concepts that a concept maps to; itself when it is standard.
    pub fn maps_to(&self, concept_id: i32) -> Vec<i32> {
        match self.index.concept(concept_id) {
            Some(concept) if concept.is_standard => vec![concept_id],
            _ => self.index.maps_to(concept_id).filter(|target| self.is_valid_standard(*target)).collect(),
        }
    }

    /// The value that a concept says together with its fact, such as an allergy's substance.
    pub fn maps_to_value(&self, concept_id: i32) -> Option<i32> {
        self.index.maps_to_value(concept_id).find(|target| self.is_valid_standard(*target))
    }

    /// True when `child` is below `parent` in the hierarchy.
    pub fn is_descendant(&self, child: i32, parent: i32) -> bool {
        child != parent && self.index.ancestors(child).contains(&parent)
    }

    /// The ingredients that a drug is made of; itself for an ingredient; empty when the hierarchy does not say.
    pub fn ingredients(&self, concept_id: i32) -> Vec<i32> {
        let is_ingredient =
            |id: &i32| self.index.concept(*id).is_some_and(|concept| concept.concept_class_id == "Ingredient");
        if is_ingredient(&concept_id) {
            return vec![concept_id];
        }
        let mut ingredients: Vec<i32> = self.index.ancestors(concept_id).into_iter().filter(is_ingredient).collect();
        ingredients.sort_unstable();
        ingredients
    }

    /// The concept of a unit: by its UCUM code, or by a known spelling; else 0.
    pub fn unit(&self, system: Option<&str>, code: &str) -> i32 {
        let number = match system {
            Some(system) => self.systems.get(system).copied(),
            None => self.index.vocabulary_number("UCUM"),
        };
        let source = number.and_then(|number| self.index.concept_of_code(number, code));
        let targets = source.map(|concept| self.maps_to(concept.concept_id)).unwrap_or_default();
        let target = targets.into_iter().find(|id| self.index.domain(*id) == Some(Domain::Unit));
        target.or(model::vocabulary::value("unit", code)).unwrap_or(model::omop::NO_MATCHING_CONCEPT)
    }

    fn is_valid_standard(&self, concept_id: i32) -> bool {
        self.index.concept(concept_id).is_some_and(|concept| concept.is_standard && concept.is_valid)
    }
}

/// The vocabulary of a folder of comma-separated files, for tests; `None` where the folder is missing.
#[cfg(test)]
pub fn reference(dir: &str) -> Option<Vocabulary> {
    if !std::path::Path::new(dir).is_dir() {
        assert!(std::env::var_os("HEALTHLAKE_REQUIRE_SHARED").is_none(), "{dir} is missing");
        eprintln!("SKIPPED: {dir} is missing");
        return None;
    }
    let mut builder = index::IndexBuilder::default();
    let mut reader = csv::Reader::from_path(format!("{dir}/concept.csv")).expect("the folder holds concept.csv");
    for record in reader.records() {
        let record = record.expect("concept.csv is valid");
        builder.add_concept(&index::ConceptRow {
            concept_id: record[0].parse().expect("ids are numbers"),
            domain_id: &record[2],
            vocabulary_id: &record[3],
            concept_class_id: &record[4],
            standard_concept: &record[5],
            concept_code: &record[6],
            invalid_reason: &record[9],
        });
    }
    let mut reader = csv::Reader::from_path(format!("{dir}/concept_relationship.csv")).expect("a second file");
    for record in reader.records() {
        let record = record.expect("concept_relationship.csv is valid");
        let id = |at: usize| record[at].parse().expect("ids are numbers");
        builder.add_relationship(&record[2], id(0), id(1));
    }
    Some(Vocabulary::new(builder, "reference".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starter_answers() {
        let vocabulary = Vocabulary::starter();
        assert!(vocabulary.len() > 200);
        assert_eq!(vocabulary.version(), format!("starter {}", env!("CARGO_PKG_VERSION")));
        let allergy = vocabulary.concept_of_code("SNOMED", "294499007").unwrap();
        assert_eq!(allergy.concept_id, 4167462);
        assert!(!allergy.is_standard);
        assert_eq!(vocabulary.maps_to(4167462), [439224]);
        assert_eq!(vocabulary.maps_to_value(4167462), Some(1728416));
        assert_eq!(vocabulary.maps_to(439224), [439224]);
        assert!(vocabulary.concept_of_code("SNOMED", "x").is_none());
        assert!(vocabulary.concept_of_code("LOINC", "294499007").is_none());
        assert!(vocabulary.maps_to(-5).is_empty());
    }

    #[test]
    fn units_are_found_by_code_and_by_known_spelling() {
        let vocabulary = Vocabulary::starter();
        let ucum = Some("http://unitsofmeasure.org");
        assert_eq!(vocabulary.unit(ucum, "mg/dL"), 8840);
        assert_eq!(vocabulary.unit(ucum, "U/L"), 8645);
        assert_eq!(vocabulary.unit(None, "kU/L"), 8810);
        assert_eq!(vocabulary.unit(ucum, "{score}"), 0);
        assert_eq!(vocabulary.unit(Some("urn:oid:2.16.840.1.113883.6.8"), "mm[Hg]"), 8876);
        assert_eq!(vocabulary.unit(ucum, "nonsense"), 0);
    }
}
