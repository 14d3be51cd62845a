//! Single look-ups: the concept of a code, as the mapping needs it, and how it was found, for explanations.

use super::index::{Index, Place, Targets};
use super::{Concept, Domain, Vocabulary};

/// A vocabulary by its number: found once by name, asked often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeSystem(pub(super) u16);

/// The concept of a code, and what it maps to: numbers, no names.
#[derive(Clone, Copy)]
pub struct SourceConcept<'v> {
    index: &'v Index,
    pub(super) place: Place,
}

impl<'v> SourceConcept<'v> {
    /// The concept of the code itself.
    pub fn concept_id(&self) -> i32 {
        self.index.concept_id(self.place)
    }

    /// Its domain.
    pub fn domain(&self) -> Domain {
        self.index.domain(self.place)
    }

    /// True when it may stand in a `*_concept_id` column.
    pub fn is_standard(&self) -> bool {
        self.index.is_standard(self.place)
    }

    /// The valid standard concepts that it maps to; itself when it is standard.
    pub fn targets(&self) -> Targets<'v> {
        self.index.targets(self.place)
    }

    /// The value that it says together with its fact.
    pub fn value_concept_id(&self) -> Option<i32> {
        self.index.maps_to_value(self.place).next().map(|place| self.index.concept_id(place))
    }
}

/// How a code was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// As it stands.
    Exact,
    /// In another spelling.
    Normalised,
}

impl Vocabulary {
    /// The vocabulary that FHIR calls by that URI, where it is loaded.
    pub fn code_system(&self, uri: &str) -> Option<CodeSystem> {
        self.systems.number(uri).map(CodeSystem)
    }

    /// The vocabulary of that name, where it is loaded.
    pub fn code_system_of(&self, vocabulary_id: &str) -> Option<CodeSystem> {
        self.index.vocabulary_number(vocabulary_id).map(CodeSystem)
    }

    /// The concept of a code as it is written; the standard one where a vocabulary gives the code twice.
    pub fn find(&self, system: CodeSystem, code: &str) -> Option<SourceConcept<'_>> {
        let place = self.index.place_of_code(system.0, code)?;
        Some(SourceConcept { index: &self.index, place })
    }

    /// The concept of a code as it is written, or else as it is usually written.
    pub(super) fn find_as_usual(&self, system: CodeSystem, code: &str) -> Option<(SourceConcept<'_>, Spelling)> {
        if let Some(found) = self.find(system, code) {
            return Some((found, Spelling::Exact));
        }
        let usual = normalised(self.index.vocabulary_name(system.0), code)?;
        self.find(system, &usual).map(|found| (found, Spelling::Normalised))
    }

    /// The vocabulary of a code system, where it is loaded.
    pub(crate) fn vocabulary_of(&self, system: &str) -> Option<&str> {
        self.systems.number(system).map(|number| self.index.vocabulary_name(number))
    }

    /// The concept of a coding, and how it was found: the same steps as in resolution.
    pub(crate) fn concept_of_coding(&self, system: &str, code: &str) -> Option<(Concept<'_>, Spelling)> {
        let (found, spelling) = self.find_as_usual(self.code_system(system)?, code)?;
        self.index.view(found.place).map(|concept| (concept, spelling))
    }
}

/// Another spelling to try once: surrounding space, the dot of ICD, the eleven digits of NDC.
fn normalised(vocabulary_id: &str, code: &str) -> Option<String> {
    let trimmed = code.trim();
    let other = match vocabulary_id {
        "ICD10CM" | "ICD10" | "ICD10GM" | "ICD9CM" => dotted(vocabulary_id, trimmed),
        "NDC" => eleven_digits(trimmed)?,
        _ if trimmed.len() == code.len() => return None,
        _ => trimmed.to_owned(),
    };
    (other != code).then_some(other)
}

fn dotted(vocabulary_id: &str, code: &str) -> String {
    let bare: String = code.chars().filter(|letter| *letter != '.').collect::<String>().to_uppercase();
    let place = if vocabulary_id == "ICD9CM" && bare.starts_with('E') { 4 } else { 3 };
    match bare.get(..place).zip(bare.get(place..)) {
        Some((head, tail)) if !tail.is_empty() => format!("{head}.{tail}"),
        _ => bare,
    }
}

fn eleven_digits(code: &str) -> Option<String> {
    let parts: Vec<&str> = code.split('-').collect();
    match parts.as_slice() {
        [labeler, product, package] if labeler.len() <= 5 && product.len() <= 4 && package.len() <= 2 => {
            Some(format!("{labeler:0>5}{product:0>4}{package:0>2}"))
        }
        [digits] => Some((*digits).to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_is_looked_up_as_in_resolution() {
        let vocabulary = Vocabulary::starter();
        let found = |code: &str| {
            let found = vocabulary.concept_of_coding("http://snomed.info/sct", code);
            found.map(|(concept, spelling)| (concept.concept_id, spelling))
        };
        assert_eq!(found("44054006"), Some((201826, Spelling::Exact)));
        assert_eq!(found(" 44054006 "), Some((201826, Spelling::Normalised)));
        assert_eq!(found("x"), None);
        assert_eq!(vocabulary.vocabulary_of("http://snomed.info/sct"), Some("SNOMED"));
    }

    #[test]
    fn codes_are_spelled_as_their_vocabulary_does() {
        assert_eq!(dotted("ICD9CM", "E8120"), "E812.0");
        assert_eq!(dotted("ICD9CM", "25000"), "250.00");
    }

    #[test]
    fn a_source_concept_says_what_the_concept_of_its_code_does() {
        let vocabulary = Vocabulary::starter();
        let mut asked = 0;
        for concept in model::vocabulary::starter_concepts() {
            let system = vocabulary.code_system_of(concept.vocabulary_id).unwrap();
            let found = vocabulary.find(system, concept.concept_code).unwrap();
            let named = vocabulary.concept(found.concept_id()).unwrap();
            assert_eq!((named.vocabulary_id, named.concept_code), (concept.vocabulary_id, concept.concept_code));
            assert!(named.is_standard || !concept.is_standard(), "of two with one code the standard one: {named:?}");
            assert_eq!((found.domain(), found.is_standard()), (named.domain, named.is_standard));
            let targets: Vec<i32> = found.targets().map(|target| target.concept_id).collect();
            assert_eq!(targets, vocabulary.maps_to(named.concept_id));
            assert_eq!(found.value_concept_id(), vocabulary.maps_to_value(named.concept_id));
            asked += 1;
        }
        assert!(asked > 200);
        assert_eq!(vocabulary.code_system("http://snomed.info/sct"), vocabulary.code_system_of("SNOMED"));
        assert!(vocabulary.code_system("http://nowhere.example").is_none());
    }
}
