//! What the codes of a library mean in OMOP, looked up once.

use model::omop::NO_MATCHING_CONCEPT;
use model::vocabulary;

use crate::module::{Codes, Id};

/// Meanings of codes.
#[derive(Debug)]
pub struct Concepts {
    meanings: Vec<Meaning>,
}

/// The meaning of one code.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meaning {
    /// The concept of the code itself.
    pub source: Option<i32>,
    /// The standard concepts it maps to, with their domains.
    pub standard: Vec<(i32, &'static str)>,
    /// The value it carries besides.
    pub value: Option<i32>,
    /// It names a substance, not a fact about a person.
    pub substance: bool,
}

impl Concepts {
    /// Looks up every code.
    pub fn new(codes: &Codes) -> Concepts {
        let meanings = codes.all().iter().map(|code| Meaning::of(&code.system, &code.code)).collect();
        Concepts { meanings }
    }

    /// The meaning of a code.
    pub fn of(&self, code: Id) -> &Meaning {
        &self.meanings[code as usize]
    }

    /// The code of a list that decides: one that has a standard concept before one that is known before any other, and
    /// among these the first of the code system that the resource type prefers.
    pub fn deciding(&self, codes: &Codes, list: Id, resource_type: &str) -> Id {
        let list = &codes.lists()[list as usize];
        let rank = |code: &&Id| {
            let meaning = self.of(**code);
            let system = system_rank(&codes.code(**code).system, resource_type);
            (meaning.standard.is_empty(), meaning.source.is_none(), system)
        };
        *list.iter().min_by_key(rank).unwrap_or(&list[0])
    }
}

impl Meaning {
    /// The meaning of a code of a system.
    pub fn of(system: &str, code: &str) -> Meaning {
        let Some(vocabulary_id) = vocabulary::vocabulary_of_system(system) else { return Meaning::default() };
        let Some(concept) = vocabulary::concept_of_code(vocabulary_id, code) else { return Meaning::default() };
        let targets: Vec<_> = vocabulary::maps_to(concept.concept_id)
            .filter_map(vocabulary::concept)
            .filter(|target| target.is_standard())
            .collect();
        let names_substance = |of: &vocabulary::Concept| vocabulary::is_substance(of.domain_id, of.concept_class_id);
        Meaning {
            source: Some(concept.concept_id),
            // Without a map there is no substance to put into a value.
            substance: targets.first().is_some_and(|first| names_substance(first) || names_substance(concept)),
            standard: targets.iter().map(|target| (target.concept_id, target.domain_id)).collect(),
            value: vocabulary::maps_to_value(concept.concept_id).next(),
        }
    }

    /// The concept for a column that takes one, 0 when there is none.
    pub fn first(&self) -> i32 {
        self.standard.first().map_or(NO_MATCHING_CONCEPT, |(concept, _)| *concept)
    }

    /// The concept of the code itself, 0 when the vocabulary does not know it.
    pub fn source_concept_id(&self) -> i32 {
        self.source.unwrap_or(NO_MATCHING_CONCEPT)
    }

    /// Every concept, or the one that says that there is none.
    pub fn all(&self) -> Vec<i32> {
        match self.standard.as_slice() {
            [] => vec![NO_MATCHING_CONCEPT],
            standard => standard.iter().map(|(concept, _)| *concept).collect(),
        }
    }

    /// The concept for a column that takes a value: an answer where there is one.
    pub fn answer(&self) -> i32 {
        let answer = self.standard.iter().find(|(_, domain)| *domain == "Meas Value");
        answer.map_or(self.first(), |(concept, _)| *concept)
    }
}

/// The standard concept of a unit: by its UCUM code, or by a known spelling; 0 when there is none.
pub fn unit(code: &str) -> i32 {
    let source = vocabulary::concept_of_code("UCUM", code).map(|concept| concept.concept_id);
    let standard = source.and_then(|source| {
        vocabulary::maps_to(source).find(|target| vocabulary::concept(*target).is_some_and(|it| it.domain_id == "Unit"))
    });
    standard.or_else(|| vocabulary::value("unit", code)).unwrap_or(NO_MATCHING_CONCEPT)
}

/// Drugs are named by RxNorm, vaccines by CVX, observations by LOINC and everything else by SNOMED before other systems.
fn system_rank(system: &str, resource_type: &str) -> u8 {
    let vocabulary = vocabulary::vocabulary_of_system(system).unwrap_or("");
    let preferred = match resource_type {
        "MedicationRequest" | "MedicationAdministration" => "RxNorm",
        "Immunization" => "CVX",
        "Observation" => "LOINC",
        _ => "SNOMED",
    };
    match vocabulary {
        _ if vocabulary == preferred => 0,
        "SNOMED" | "RxNorm" | "LOINC" => 1,
        "CPT4" | "HCPCS" => 2,
        "ICD10CM" | "ICD9CM" => 3,
        "" => 5,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::Code;

    #[test]
    fn the_resource_type_says_which_system_decides() {
        let mut codes = Codes::default();
        let list = [("http://snomed.info/sct", "0"), ("http://loinc.org", "0-0")].map(|(system, code)| {
            codes.intern(Code { system: system.into(), code: code.into(), display: "unknown".into() })
        });
        let both = codes.intern_list(list.to_vec());
        let concepts = Concepts::new(&codes);
        assert_eq!(concepts.deciding(&codes, both, "Observation"), list[1]);
        assert_eq!(concepts.deciding(&codes, both, "Procedure"), list[0]);
    }
}
