//! Concepts, their maps to standard concepts, and the import of a vocabulary download.
//!
//! One [`Vocabulary`] is opened per run, from the index that stands for the lake's `vocabulary` tables or from the
//! starter that is compiled in, and then answers every look-up from memory. A vocabulary that cannot be opened stops
//! the run: no failure to look something up is taken for an unmapped code.

mod bad_lines;
mod block;
mod build;
mod cache;
mod domain;
mod download;
mod finding;
pub(crate) mod fuzz;
mod import;
mod index;
mod layout;
mod local_map;
mod look_up;
mod remap;
mod resolution;
mod row;
mod self_check;
mod starter;
mod stored;
mod supplement;
mod table_file;
mod watch;

pub use bad_lines::BadLine;
pub use domain::Domain;
pub(crate) use finding::Finding;
pub use import::{ImportOptions, ImportOutcome, import};
pub use index::{Concept, Target, Targets};
use index::{Index, Place};
pub use local_map::LocalMapFile;
pub(crate) use look_up::Spelling;
pub use look_up::{CodeSystem, SourceConcept};
pub use remap::{Change, ChangeKind, Meaning, Remap, Side, TableChanges, diff};
pub use resolution::{Priority, Resolution};
pub(crate) use self_check::{ConceptCheck, check_rows, self_check};
pub use stored::{Info, info, write_starter};
pub use supplement::RuleConcept;
use xxhash_rust::xxh3::xxh3_64;

/// The row of the `vocabulary` table that tells the release of the whole.
const WHOLE: &str = "None";
/// The release of a vocabulary that does not say it.
const UNKNOWN_RELEASE: &str = "unknown release";

/// The concepts in memory, ready for look-up.
pub struct Vocabulary {
    index: Index,
    systems: Systems,
    /// How the vocabularies rank, by number and priority.
    ranks: Vec<[u8; 4]>,
    ingredient: Option<u16>,
    ucum: Option<u16>,
    is_in_lake: bool,
    /// The snapshots that it was read from.
    state: Option<u64>,
}

/// The index's numbers of vocabularies by the names that FHIR has for them: URI, `urn:oid:…`, or the vocabulary's own
/// reference. There are few, and one is looked for per code.
#[derive(Default)]
struct Systems {
    /// In order.
    hashes: Vec<u64>,
    systems: Vec<(String, u16)>,
}

impl Systems {
    fn of(index: &Index) -> Systems {
        let mut systems = Systems::default();
        for system in model::vocabulary::code_systems() {
            let Some(number) = index.vocabulary_number(system.vocabulary_id) else {
                continue;
            };
            systems.add(system.uri.to_owned(), number);
            if let Some(oid) = system.oid {
                systems.add(format!("urn:oid:{oid}"), number);
            }
        }
        for (vocabulary_id, reference) in &index.names().references {
            if let Some(number) = index.vocabulary_number(vocabulary_id)
                && model::vocabulary::vocabulary_of_system(reference).is_none()
                && systems.number(reference).is_none()
            {
                systems.add(reference.clone(), number);
            }
        }
        systems
    }

    fn add(&mut self, system: String, number: u16) {
        let hash = xxh3_64(system.as_bytes());
        if let Err(at) = self.hashes.binary_search(&hash) {
            self.hashes.insert(at, hash);
            self.systems.insert(at, (system, number));
        }
    }

    fn number(&self, system: &str) -> Option<u16> {
        let hash = xxh3_64(system.as_bytes());
        let at = self.hashes.binary_search(&hash).ok()?;
        self.systems.get(at).filter(|(held, _)| held == system).map(|(_, number)| *number)
    }
}

impl Vocabulary {
    /// The starter: what the bundled modules emit and the rules name.
    pub fn starter() -> Vocabulary {
        Vocabulary::of(Vocabulary::starter_index(), &format!("starter {}", env!("CARGO_PKG_VERSION")))
    }

    /// The starter with further concepts and relationships, for tests.
    #[cfg(test)]
    pub fn starter_with(concepts: &[csv::StringRecord], relationships: &[csv::StringRecord]) -> Vocabulary {
        let mut builder = Vocabulary::starter_index();
        for row in concepts {
            builder.add_concept(&build::ConceptRow {
                concept_id: row[0].parse().expect("ids are numbers"),
                domain_id: &row[2],
                vocabulary_id: &row[3],
                concept_class_id: &row[4],
                standard_concept: &row[5],
                concept_code: &row[6],
                invalid_reason: "",
            });
        }
        for row in relationships {
            let id = |at: usize| row[at].parse().expect("ids are numbers");
            builder.add_relationship(&row[2], id(0), id(1));
        }
        Vocabulary::of(builder, "test")
    }

    fn of(mut builder: build::IndexBuilder, version: &str) -> Vocabulary {
        builder.set_version(version);
        Vocabulary::new(builder.finish().expect("the starter is small"))
    }

    fn starter_index() -> build::IndexBuilder {
        let mut builder = build::IndexBuilder::default();
        for concept in model::vocabulary::starter_concepts() {
            builder.add_concept(&build::ConceptRow {
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
            builder.add_relationship(
                relationship.relationship_id,
                relationship.concept_id_1,
                relationship.concept_id_2,
            );
        }
        for row in model::vocabulary::starter_ancestors() {
            builder.add_parent(row.descendant_concept_id, row.ancestor_concept_id);
        }
        builder
    }

    fn new(index: Index) -> Vocabulary {
        Vocabulary {
            systems: Systems::of(&index),
            ranks: index.names().vocabularies.iter().map(|name| resolution::ranks(name)).collect(),
            ingredient: index.class_number("Ingredient"),
            ucum: index.vocabulary_number("UCUM"),
            is_in_lake: false,
            state: None,
            index,
        }
    }

    /// The release: the `None` row of the `vocabulary` table, or the starter's version.
    pub fn version(&self) -> &str {
        &self.index.names().version
    }

    /// What tells this vocabulary from another one of the same release, such as one with other local codes.
    pub fn identity(&self) -> String {
        self.state.map_or_else(|| self.version().to_owned(), |state| format!("{} {state:016x}", self.version()))
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

    /// Bytes that the concepts take in memory, which are those of the index's file.
    pub fn size_bytes(&self) -> usize {
        self.index.bytes().len()
    }

    /// The concept with that id.
    pub fn concept(&self, concept_id: i32) -> Option<Concept<'_>> {
        self.index.concept(concept_id)
    }

    /// The concept of a code; the standard one where a vocabulary gives the code twice.
    pub fn concept_of_code(&self, vocabulary_id: &str, code: &str) -> Option<Concept<'_>> {
        let place = self.index.place_of_code(self.index.vocabulary_number(vocabulary_id)?, code)?;
        self.index.view(place)
    }

    /// The valid standard concepts that a concept maps to; itself when it is standard.
    pub fn maps_to(&self, concept_id: i32) -> Vec<i32> {
        let places = self.index.place(concept_id).into_iter();
        places.flat_map(|place| self.index.targets(place)).map(|target| target.concept_id).collect()
    }

    /// The value that a concept says together with its fact, such as an allergy's substance.
    pub fn maps_to_value(&self, concept_id: i32) -> Option<i32> {
        self.index.maps_to_value(self.index.place(concept_id)?).next().map(|place| self.index.concept_id(place))
    }

    /// True when `child` is below `parent` in the hierarchy.
    pub fn is_descendant(&self, child: i32, parent: i32) -> bool {
        let places = self.index.place(child).zip(self.index.place(parent));
        places.is_some_and(|(child, parent)| self.is_below(child, parent))
    }

    fn is_below(&self, child: Place, parent: Place) -> bool {
        let mut found = false;
        if child != parent {
            self.index.climb(child, |above| {
                found |= above == parent;
                found
            });
        }
        found
    }

    /// True for what drugs are made of.
    pub fn is_ingredient(&self, concept_id: i32) -> bool {
        self.ingredient
            .zip(self.index.place(concept_id))
            .is_some_and(|(class, place)| self.index.has_class(place, class))
    }

    /// The ingredients that a drug is made of; itself for an ingredient; empty when the hierarchy does not say.
    pub fn ingredients(&self, concept_id: i32) -> Vec<i32> {
        let mut ingredients = Vec::new();
        let (Some(class), Some(place)) = (self.ingredient, self.index.place(concept_id)) else {
            return ingredients;
        };
        if self.index.has_class(place, class) {
            return vec![concept_id];
        }
        self.index.climb(place, |above| {
            let is_ingredient = self.index.has_class(above, class);
            if is_ingredient {
                ingredients.push(self.index.concept_id(above));
            }
            is_ingredient
        });
        ingredients.sort_unstable();
        ingredients
    }

    /// The concept of a unit: by its UCUM code, or by a known spelling; else 0.
    pub fn unit(&self, system: Option<&str>, code: &str) -> i32 {
        let number = match system {
            Some(system) => self.systems.number(system),
            None => self.ucum,
        };
        let source = number.and_then(|number| self.index.place_of_code(number, code));
        let mut targets = source.into_iter().flat_map(|place| self.index.targets(place));
        let concept_id = targets.find(|target| target.domain == Domain::Unit).map(|target| target.concept_id);
        concept_id.or(model::vocabulary::value("unit", code)).unwrap_or(model::omop::NO_MATCHING_CONCEPT)
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
    let bad = bad_lines::BadLines::new(0);
    Some(Vocabulary::of_folder(std::path::Path::new(dir), &bad).expect("the reference vocabulary can be read"))
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
