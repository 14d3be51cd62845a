//! Single look-ups with what stands between code and concept, for explanations.

use super::resolution::normalised;
use super::{Concept, Vocabulary};

/// How a code was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// As it stands.
    Exact,
    /// In another spelling.
    Normalised,
}

impl Vocabulary {
    /// The vocabulary of a code system, where it is loaded.
    pub(crate) fn vocabulary_of(&self, system: &str) -> Option<&str> {
        self.systems.get(system).map(|number| self.index.vocabulary_name(*number))
    }

    /// The concept of a coding, and how it was found: the same steps as in resolution.
    pub(crate) fn concept_of_coding(&self, system: &str, code: &str) -> Option<(Concept<'_>, Spelling)> {
        let vocabulary = self.systems.get(system).copied()?;
        if let Some(concept) = self.index.concept_of_code(vocabulary, code) {
            return Some((concept, Spelling::Exact));
        }
        let other = normalised(self.index.vocabulary_name(vocabulary), code)?;
        self.index.concept_of_code(vocabulary, &other).map(|concept| (concept, Spelling::Normalised))
    }

    /// Where a concept maps to, whether that counts or not; a standard concept leads to itself.
    pub(crate) fn all_targets(&self, concept_id: i32) -> Vec<i32> {
        match self.index.concept(concept_id) {
            Some(concept) if concept.is_standard => vec![concept_id],
            _ => self.index.maps_to(concept_id).collect(),
        }
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
        assert_eq!(vocabulary.all_targets(4167462), [439224]);
        assert_eq!(vocabulary.all_targets(439224), [439224]);
    }
}
