//! The starter vocabulary: the concepts that the bundled modules emit and that the mapping rules name, with the maps
//! from FHIR's own code lists. The tables are `model/vocabulary/*.csv`, compiled in; see the README there.
//!
//! A concept id never stands bare in code: `rule::TYPE_EHR_PRESCRIPTION`, or a row of `value_map.csv`.

use std::collections::HashMap;
use std::slice::Iter;
use std::sync::LazyLock;

use chrono::NaiveDate;

mod metadata;

pub use metadata::{
    ConceptClass, Domain, RelationshipKind, Vocabulary, concept_classes, domains, relationship_kinds, vocabularies,
};

/// One row of `concept`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Concept {
    /// The id, unique over all vocabularies.
    pub concept_id: i32,
    /// The name.
    pub concept_name: &'static str,
    /// What kind of fact it is, and so which table a record of it belongs to.
    pub domain_id: &'static str,
    /// Where it comes from: `SNOMED`, `LOINC`, …
    pub vocabulary_id: &'static str,
    /// The class within the vocabulary.
    pub concept_class_id: &'static str,
    /// `S` for a standard concept.
    pub standard_concept: Option<&'static str>,
    /// The code within the vocabulary.
    pub concept_code: &'static str,
    /// First day of validity.
    pub valid_start_date: NaiveDate,
    /// Last day of validity.
    pub valid_end_date: NaiveDate,
    /// `D` deleted or `U` replaced.
    pub invalid_reason: Option<&'static str>,
}

impl Concept {
    /// True when the concept may stand in a `*_concept_id` column.
    pub fn is_standard(&self) -> bool {
        self.standard_concept == Some("S")
    }
}

/// One row of `concept_relationship`; all are valid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relationship {
    /// From.
    pub concept_id_1: i32,
    /// To.
    pub concept_id_2: i32,
    /// `Maps to` or `Maps to value`.
    pub relationship_id: &'static str,
}

/// One row of `concept_ancestor`: a drug and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ancestor {
    /// Above.
    pub ancestor_concept_id: i32,
    /// Below.
    pub descendant_concept_id: i32,
    /// Steps of the shortest way.
    pub min_levels_of_separation: i32,
    /// Steps of the longest way.
    pub max_levels_of_separation: i32,
    /// What a reader should know, such as a doubt.
    pub note: &'static str,
}

/// Which vocabulary the codes of a FHIR `system` belong to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CodeSystem {
    /// The system URI.
    pub uri: &'static str,
    /// The same as an OID, without `urn:oid:`.
    pub oid: Option<&'static str>,
    /// The OMOP vocabulary.
    pub vocabulary_id: &'static str,
}

/// A concept that a mapping rule names, and what it must be: checked against whatever vocabulary is loaded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleConcept {
    /// The rule: `type.ehr_prescription`.
    pub rule: &'static str,
    /// The concept.
    pub concept_id: i32,
    /// The name that it must have.
    pub expected_name: &'static str,
    /// The domain that it must have.
    pub expected_domain: &'static str,
    /// `S`, or nothing where the rule names a non-standard concept on purpose.
    pub standard_concept: Option<&'static str>,
    /// What a reader should know, such as a doubt.
    pub note: &'static str,
}

/// What one code of a FHIR code list means in OMOP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueMapping {
    /// The map: `gender`, `encounter_class`, `unit`, …
    pub map: &'static str,
    /// The system that the code belongs to.
    pub source_system: &'static str,
    /// The code; two codes that decide together are joined by `/`.
    pub source_code: &'static str,
    /// The rule that names the concept; nothing where the code has none on purpose.
    pub rule: Option<&'static str>,
    /// The rule's concept, or 0.
    pub concept_id: i32,
    /// What a reader should know.
    pub note: &'static str,
}

const fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    match NaiveDate::from_ymd_opt(year, month, day) {
        Some(date) => date,
        None => panic!("a table holds a date that does not exist"),
    }
}

include!(concat!(env!("OUT_DIR"), "/vocabulary.rs"));

static BY_CODE: LazyLock<HashMap<(&str, &str), &Concept>> = LazyLock::new(|| {
    let mut concepts: Vec<_> = CONCEPTS.iter().collect();
    concepts.sort_by_key(|concept| concept.is_standard());
    concepts.into_iter().map(|concept| ((concept.vocabulary_id, concept.concept_code), concept)).collect()
});

static BY_VALUE: LazyLock<HashMap<(&str, &str), i32>> =
    LazyLock::new(|| VALUES.iter().map(|value| ((value.map, value.source_code), value.concept_id)).collect());

/// Every concept of the starter, in the order of the ids.
pub fn starter_concepts() -> Iter<'static, Concept> {
    CONCEPTS.iter()
}

/// Every relationship of the starter, in the order of the first id; each standard concept maps to itself.
pub fn starter_relationships() -> Iter<'static, Relationship> {
    RELATIONSHIPS.iter()
}

/// Every ancestry of the starter, in the order of the descendants.
pub fn starter_ancestors() -> Iter<'static, Ancestor> {
    ANCESTORS.iter()
}

/// The known code systems.
pub fn code_systems() -> Iter<'static, CodeSystem> {
    CODE_SYSTEMS.iter()
}

/// Every rule, in the order of the names.
pub fn rule_concepts() -> Iter<'static, RuleConcept> {
    RULES.iter()
}

/// Every row of the value maps, by map and code.
pub fn value_mappings() -> Iter<'static, ValueMapping> {
    VALUES.iter()
}

/// The vocabulary of a FHIR `system`, given as URI or as `urn:oid:…`.
pub fn vocabulary_of_system(system: &str) -> Option<&'static str> {
    let oid = system.strip_prefix("urn:oid:");
    CODE_SYSTEMS
        .iter()
        .find(|known| known.uri == system || (oid.is_some() && known.oid == oid))
        .map(|known| known.vocabulary_id)
}

/// The concept with that id.
pub fn concept(concept_id: i32) -> Option<&'static Concept> {
    CONCEPTS.binary_search_by_key(&concept_id, |concept| concept.concept_id).ok().map(|index| &CONCEPTS[index])
}

/// The concept of a code; the standard one where a vocabulary gives the code twice.
pub fn concept_of_code(vocabulary_id: &str, code: &str) -> Option<&'static Concept> {
    BY_CODE.get(&(vocabulary_id, code)).copied()
}

/// The relationships that lead away from a concept.
pub fn relationships_of(concept_id: i32) -> &'static [Relationship] {
    let start = RELATIONSHIPS.partition_point(|relationship| relationship.concept_id_1 < concept_id);
    let end = RELATIONSHIPS.partition_point(|relationship| relationship.concept_id_1 <= concept_id);
    &RELATIONSHIPS[start..end]
}

/// The concepts above a concept.
pub fn ancestors_of(concept_id: i32) -> impl Iterator<Item = i32> {
    let start = ANCESTORS.partition_point(|row| row.descendant_concept_id < concept_id);
    let theirs = ANCESTORS[start..].iter().take_while(move |row| row.descendant_concept_id == concept_id);
    theirs.map(|row| row.ancestor_concept_id)
}

/// The standard concepts that a concept maps to, in the order of their ids.
pub fn maps_to(concept_id: i32) -> impl Iterator<Item = i32> {
    targets(concept_id, "Maps to")
}

/// The value concepts of a concept that says fact and value at once: an allergy's substance.
pub fn maps_to_value(concept_id: i32) -> impl Iterator<Item = i32> {
    targets(concept_id, "Maps to value")
}

fn targets(concept_id: i32, kind: &'static str) -> impl Iterator<Item = i32> {
    relationships_of(concept_id)
        .iter()
        .filter(move |relationship| relationship.relationship_id == kind)
        .map(|relationship| relationship.concept_id_2)
}

/// The rule of that name, for names that come from data; code uses the constants of [`mod@rule`].
pub fn rule_concept(name: &str) -> Option<&'static RuleConcept> {
    RULES.binary_search_by_key(&name, |rule| rule.rule).ok().map(|index| &RULES[index])
}

/// The concept id of a rule.
///
/// # Panics
/// When there is no such rule. Prefer the constants of [`mod@rule`], which the compiler checks.
pub fn rule(name: &str) -> i32 {
    rule_concept(name).unwrap_or_else(|| panic!("no rule `{name}` in rule_concept.csv")).concept_id
}

/// What a code means in one of the value maps: `None` when the map does not know the code, 0 when it knows that the
/// code has no concept.
pub fn value(map: &str, code: &str) -> Option<i32> {
    BY_VALUE.get(&(map, code)).copied()
}

/// True for concepts that name a thing one may be allergic to, not the allergy itself.
pub fn is_substance(domain_id: &str, concept_class_id: &str) -> bool {
    domain_id == "Drug"
        || ["Substance", "Organism", "Pharma/Biol Product", "Physical Object"].contains(&concept_class_id)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn every_reference_inside_the_starter_holds() {
        let vocabularies: HashSet<_> = vocabularies().map(|row| row.vocabulary_id).collect();
        let domains: HashSet<_> = domains().map(|row| row.domain_id).collect();
        let classes: HashSet<_> = concept_classes().map(|row| row.concept_class_id).collect();
        for row in starter_concepts() {
            assert!(vocabularies.contains(row.vocabulary_id), "{row:?}");
            assert!(domains.contains(row.domain_id), "{row:?}");
            assert!(classes.contains(row.concept_class_id), "{row:?}");
        }
        let of_metadata = super::vocabularies()
            .map(|row| row.vocabulary_concept_id)
            .chain(super::domains().map(|row| row.domain_concept_id))
            .chain(concept_classes().map(|row| row.concept_class_concept_id))
            .chain(relationship_kinds().map(|row| row.relationship_concept_id));
        for concept_id in of_metadata {
            assert!(concept(concept_id).is_some(), "{concept_id}");
        }
        for row in starter_relationships() {
            assert!(concept(row.concept_id_1).is_some(), "{row:?}");
            assert!(concept(row.concept_id_2).is_some_and(Concept::is_standard), "{row:?}");
            assert!(relationship_kinds().any(|kind| kind.relationship_id == row.relationship_id), "{row:?}");
        }
        for row in starter_ancestors() {
            assert!(concept(row.ancestor_concept_id).is_some_and(Concept::is_standard), "{row:?}");
            assert!(concept(row.descendant_concept_id).is_some_and(Concept::is_standard), "{row:?}");
        }
        for row in starter_concepts().filter(|row| row.is_standard()) {
            assert_eq!(maps_to(row.concept_id).collect::<Vec<_>>(), [row.concept_id], "{row:?}");
        }
    }

    #[test]
    fn ids_and_codes_are_unique() {
        let ids: Vec<_> = starter_concepts().map(|row| row.concept_id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        for pair in RULES.windows(2) {
            assert!(pair[0].rule < pair[1].rule, "{pair:?}");
        }
        for pair in VALUES.windows(2) {
            assert!((pair[0].map, pair[0].source_code) < (pair[1].map, pair[1].source_code), "{pair:?}");
        }
    }

    #[test]
    fn every_rule_names_the_concept_it_means() {
        for rule in rule_concepts() {
            let concept = concept(rule.concept_id).unwrap_or_else(|| panic!("{rule:?} is not in concept.csv"));
            assert_eq!(concept.concept_name, rule.expected_name, "{}", rule.rule);
            assert_eq!(concept.domain_id, rule.expected_domain, "{}", rule.rule);
            assert_eq!(concept.standard_concept, rule.standard_concept, "{}", rule.rule);
            assert!(
                concept.is_standard() || rule.concept_id == 0 && !rule.note.is_empty(),
                "{} is not standard",
                rule.rule
            );
            if rule.rule.starts_with("type.") {
                assert_eq!(concept.domain_id, "Type Concept", "{}", rule.rule);
            }
        }
        for forbidden in [38000176, 38000179, 44818702, 44814724, 32020, 44786630, 32839, 32833] {
            assert!(rule_concepts().all(|rule| rule.concept_id != forbidden), "{forbidden} is a legacy type concept");
        }
    }

    #[test]
    fn values_and_rules_are_found() {
        assert_eq!(rule("type.ehr_prescription"), rule::TYPE_EHR_PRESCRIPTION);
        assert_eq!(rule::MEASUREMENT_SYSTOLIC_BLOOD_PRESSURE, 3004249);
        assert_eq!(value("gender", "female"), Some(rule::GENDER_FEMALE));
        assert_eq!(value("gender", "other"), Some(0));
        assert_eq!(value("gender", "woman"), None);
        assert_eq!(value("admit_source", "emd"), Some(rule::PLACE_EMERGENCY_ROOM_HOSPITAL));
        assert_eq!(value("unit", "U/L"), Some(8645));
        assert_eq!(value("unit", "kU/L"), Some(8810));
        assert_eq!(value("allergy_category", "allergy/food"), Some(rule::ALLERGY_FOOD));
        for (vocabulary_id, code, concept_id) in
            [("SNOMED", "44054006", 201826), ("SNOMED", "13645005", 255573), ("SNOMED", "716186003", 37396387)]
        {
            assert_eq!(
                concept_of_code(vocabulary_id, code).map(|concept| concept.concept_id),
                Some(concept_id),
                "{code}"
            );
        }
        assert_eq!(vocabulary_of_system("http://loinc.org"), Some("LOINC"));
        assert_eq!(vocabulary_of_system("urn:oid:2.16.840.1.113883.6.96"), Some("SNOMED"));
        assert_eq!(vocabulary_of_system("urn:oid:1.2.3"), None);
    }

    /// Eras are told by ingredient.
    #[test]
    fn every_drug_has_its_ingredients() {
        let is_ingredient = |row: &Concept| row.concept_class_id == "Ingredient";
        let drugs = || starter_concepts().filter(|row| row.vocabulary_id == "RxNorm" && !is_ingredient(row));
        assert!(drugs().count() > 30);
        for row in drugs() {
            let ingredients: Vec<_> = ancestors_of(row.concept_id).filter_map(concept).collect();
            assert!(!ingredients.is_empty() && ingredients.iter().all(|row| is_ingredient(row)), "{row:?}");
        }
        assert_eq!(ancestors_of(1713671).collect::<Vec<_>>(), [1713332, 1759842]);
        assert_eq!(ancestors_of(1713332).count(), 0);
    }

    /// A non-standard allergy code says both what is wrong and with which substance.
    #[test]
    fn a_code_may_map_to_a_concept_and_a_value() {
        let source = concept_of_code("SNOMED", "294499007").expect("the worked example of the rules");
        assert_eq!(source.concept_id, 4167462);
        assert_eq!(maps_to(source.concept_id).collect::<Vec<_>>(), [rule::ALLERGY_MEDICATION]);
        assert_eq!(maps_to_value(source.concept_id).collect::<Vec<_>>(), [1728416]);
    }

    /// Concepts collected from public carriers, where they are at hand.
    #[test]
    fn concepts_equal_the_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/omop/vocabulary/concept_all.csv");
        let Ok(mut reader) = csv::Reader::from_path(path) else {
            assert!(std::env::var_os("HEALTHLAKE_REQUIRE_SHARED").is_none(), "{path} is missing");
            eprintln!("SKIPPED concepts_equal_the_reference: {path} is missing");
            return;
        };
        let reference: HashMap<i32, csv::StringRecord> = reader
            .records()
            .map(|record| record.expect("the reference is valid CSV"))
            .map(|record| (record[0].parse().expect("ids are numbers"), record))
            .collect();
        let rules = rule_concepts().map(|rule| (rule.concept_id, rule.note));
        let notes = rules.chain(starter_ancestors().map(|row| (row.ancestor_concept_id, row.note)));
        let doubtful: HashSet<_> = notes
            .filter(|(_, note)| note.contains("not in the reference files"))
            .map(|(concept_id, _)| concept_id)
            .collect();
        for row in starter_concepts() {
            let Some(known) = reference.get(&row.concept_id) else {
                let explained = doubtful.contains(&row.concept_id)
                    || ["Vocabulary", "Domain", "Concept Class", "Relationship"].contains(&row.vocabulary_id)
                    || row.concept_id == 4167462;
                assert!(explained, "{row:?} is in no reference and its rule does not say so");
                continue;
            };
            let ours = [
                row.concept_name,
                row.domain_id,
                row.vocabulary_id,
                row.concept_class_id,
                row.standard_concept.unwrap_or(""),
                row.concept_code,
            ];
            let theirs: Vec<&str> = known.iter().skip(1).take(6).collect();
            assert_eq!(ours, theirs[..], "{}", row.concept_id);
        }
    }
}
