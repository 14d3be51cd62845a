//! Single look-ups with what stands between code and concept, for explanations.

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
        self.systems.number(system).map(|number| self.index.vocabulary_name(number))
    }

    /// The concept of a coding, and how it was found: the same steps as in resolution.
    pub(crate) fn concept_of_coding(&self, system: &str, code: &str) -> Option<(Concept<'_>, Spelling)> {
        let (place, is_normalised) = self.place_of_code(self.systems.number(system)?, code);
        let spelling = if is_normalised { Spelling::Normalised } else { Spelling::Exact };
        self.index.view(place?).map(|concept| (concept, spelling))
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
}
