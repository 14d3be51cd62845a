//! From a CodeableConcept to standard concepts: which coding counts, which concept it is, and where that maps to.

use std::borrow::Cow;

use model::fhir::{CodeableConcept, Coding};

use super::Vocabulary;
use super::index::Target;
use super::look_up::{SourceConcept, Spelling};

/// Which vocabularies come first for an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Conditions, procedures, findings: SNOMED first.
    Clinical,
    /// Drugs: RxNorm first.
    Drug,
    /// Vaccines: CVX first.
    Vaccine,
    /// Observations: LOINC first.
    Observation,
}

/// What became of a CodeableConcept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolution<'d> {
    /// The valid standard concepts; none for an unmapped code.
    pub targets: Vec<Target>,
    /// The value that the code says together with its fact.
    pub value_concept_id: Option<i32>,
    /// The concept of the code itself.
    pub source_concept_id: Option<i32>,
    /// The code, verbatim.
    pub source_value: Option<Cow<'d, str>>,
    /// The system of the code.
    pub system: Option<Cow<'d, str>>,
    /// The code's display in the source, for coverage only.
    pub display: Option<Cow<'d, str>>,
    /// True when the code was found only after its spelling was normalised.
    pub is_normalised: bool,
    /// True when several codings of one rank differ and the first was taken.
    pub is_undecided: bool,
}

impl Resolution<'_> {
    /// The first standard concept, or 0.
    pub fn concept_id(&self) -> i32 {
        self.targets.first().map_or(model::omop::NO_MATCHING_CONCEPT, |target| target.concept_id)
    }

    /// The same without borrowing from the resource.
    pub fn into_owned(self) -> Resolution<'static> {
        let owned = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        Resolution {
            targets: self.targets,
            value_concept_id: self.value_concept_id,
            source_concept_id: self.source_concept_id,
            source_value: owned(self.source_value),
            system: owned(self.system),
            display: owned(self.display),
            is_normalised: self.is_normalised,
            is_undecided: self.is_undecided,
        }
    }
}

struct Candidate<'k, 'd, 'v> {
    coding: &'k Coding<'d>,
    rank: u8,
    source: Option<SourceConcept<'v>>,
    is_normalised: bool,
}

impl<'v> Candidate<'_, '_, 'v> {
    /// Smaller is better: a mapped code before a known one before an unknown one, then the rank of its vocabulary.
    fn order(&self) -> (u8, u8) {
        let found = match &self.source {
            Some(source) if !source.targets().is_empty() => 0,
            Some(_) => 1,
            None => 2,
        };
        (found, self.rank)
    }

    fn targets(&self) -> impl Iterator<Item = Target> + use<'v> {
        self.source.into_iter().flat_map(|source| source.targets())
    }
}

impl Vocabulary {
    /// Resolves a CodeableConcept.
    pub fn resolve<'d>(&self, concept: &CodeableConcept<'d>, priority: Priority) -> Resolution<'d> {
        let mut best: Option<Candidate<'_, 'd, '_>> = None;
        let mut is_undecided = false;
        for coding in &concept.coding {
            let Some(candidate) = self.candidate(coding, priority) else {
                continue;
            };
            let Some(held) = &best else {
                best = Some(candidate);
                continue;
            };
            if candidate.order() < held.order() {
                best = Some(candidate);
                is_undecided = false;
            } else if candidate.order() == held.order() && !candidate.targets().eq(held.targets()) {
                match self.is_better(&candidate, held) {
                    Some(true) => best = Some(candidate),
                    Some(false) => {}
                    None => is_undecided = true,
                }
            }
        }
        let Some(best) = best else {
            return Resolution::default();
        };
        Resolution {
            targets: best.source.map_or_else(Vec::new, |source| source.targets().collect()),
            value_concept_id: best.source.and_then(|source| source.value_concept_id()),
            source_concept_id: best.source.map(|source| source.concept_id()),
            source_value: best.coding.code.as_ref().map(|code| code.to_cow()),
            system: best.coding.system.as_ref().map(|system| system.to_cow()),
            display: best.coding.display.as_ref().map(|display| display.to_cow()),
            is_normalised: best.is_normalised,
            is_undecided,
        }
    }

    fn candidate<'k, 'd>(&self, coding: &'k Coding<'d>, priority: Priority) -> Option<Candidate<'k, 'd, '_>> {
        let code = coding.code.as_deref().filter(|code| !code.trim().is_empty())?;
        let Some(system) = coding.system.as_deref().and_then(|system| self.code_system(system)) else {
            // A known system whose vocabulary is not loaded still ranks by what it is.
            let known = coding.system.as_deref().and_then(model::vocabulary::vocabulary_of_system);
            let rank = rank(priority, known.unwrap_or_default());
            return Some(Candidate { coding, rank, source: None, is_normalised: false });
        };
        let found = self.find_as_usual(system, code);
        Some(Candidate {
            coding,
            rank: self.ranks.get(usize::from(system.0)).map_or(u8::MAX, |ranks| ranks[priority as usize]),
            source: found.map(|(source, _)| source),
            is_normalised: found.is_some_and(|(_, spelling)| spelling == Spelling::Normalised),
        })
    }

    /// Whether a later coding of the same rank wins: the more specific one, then the one that a user chose. `None` when
    /// nothing but the order tells them apart.
    fn is_better(&self, later: &Candidate<'_, '_, '_>, held: &Candidate<'_, '_, '_>) -> Option<bool> {
        let only = |candidate: &Candidate<'_, '_, '_>| {
            let mut targets = candidate.targets();
            let only = targets.next().filter(|_| targets.next().is_none())?;
            self.index.place(only.concept_id)
        };
        if let (Some(later), Some(held)) = (only(later), only(held)) {
            if self.is_below(later, held) {
                return Some(true);
            }
            if self.is_below(held, later) {
                return Some(false);
            }
        }
        let chosen = |candidate: &Candidate<'_, '_, '_>| candidate.coding.user_selected == Some(true);
        match (chosen(later), chosen(held)) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            _ => None,
        }
    }
}

/// The rank of a vocabulary for each priority.
pub fn ranks(vocabulary_id: &str) -> [u8; 4] {
    [Priority::Clinical, Priority::Drug, Priority::Vaccine, Priority::Observation]
        .map(|priority| rank(priority, vocabulary_id))
}

/// Smaller is better.
fn rank(priority: Priority, vocabulary_id: &str) -> u8 {
    let is_first = match priority {
        Priority::Clinical => vocabulary_id == "SNOMED",
        Priority::Drug => matches!(vocabulary_id, "RxNorm" | "RxNorm Extension"),
        Priority::Vaccine => vocabulary_id == "CVX",
        Priority::Observation => vocabulary_id == "LOINC",
    };
    match vocabulary_id {
        _ if is_first => 0,
        "SNOMED" | "RxNorm" | "RxNorm Extension" | "LOINC" => 1,
        "CPT4" | "HCPCS" => 2,
        "ICD10CM" | "ICD9CM" | "ICD10" | "ICD10GM" | "ICD10PCS" => 3,
        "" => 5,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{ConceptRow, IndexBuilder};
    use super::*;

    fn vocabulary() -> Vocabulary {
        let mut builder = IndexBuilder::default();
        for (concept_id, vocabulary_id, concept_code, domain_id, standard_concept) in [
            (1, "SNOMED", "44054006", "Condition", "S"),
            (2, "SNOMED", "73211009", "Condition", "S"),
            (3, "ICD10CM", "E11.9", "Condition", ""),
            (4, "ICD10CM", "E11.69", "Condition", ""),
            (5, "NDC", "00071015523", "Drug", ""),
            (6, "RxNorm", "617312", "Drug", "S"),
            (7, "ICD9CM", "E812.0", "Observation", ""),
            (8, "SNOMED", "1", "Condition", ""),
        ] {
            builder.add_concept(&ConceptRow {
                concept_id,
                domain_id,
                vocabulary_id,
                concept_class_id: "",
                standard_concept,
                concept_code,
                invalid_reason: "",
            });
        }
        for (kind, from, to) in [
            ("Maps to", 3, 1),
            ("Maps to", 4, 1),
            ("Maps to", 4, 2),
            ("Maps to", 5, 6),
            ("Maps to", 8, 7),
            ("Is a", 1, 2),
        ] {
            builder.add_relationship(kind, from, to);
        }
        Vocabulary::new(builder.finish().unwrap())
    }

    fn resolve(codings: &str, priority: Priority) -> Resolution<'static> {
        let json = format!("{{\"coding\":{codings}}}");
        let concept: CodeableConcept<'_> = model::fhir::parse("CodeableConcept", json.as_bytes()).unwrap();
        vocabulary().resolve(&concept, priority).into_owned()
    }

    fn ids(resolution: &Resolution<'_>) -> Vec<i32> {
        resolution.targets.iter().map(|target| target.concept_id).collect()
    }

    const SNOMED: &str = "http://snomed.info/sct";
    const ICD: &str = "http://hl7.org/fhir/sid/icd-10-cm";

    fn coding(system: &str, code: &str) -> String {
        format!(r#"{{"system":"{system}","code":"{code}"}}"#)
    }

    #[test]
    fn the_preferred_vocabulary_wins_wherever_it_stands() {
        let found = resolve(&format!("[{},{}]", coding(ICD, "E11.69"), coding(SNOMED, "44054006")), Priority::Clinical);
        assert_eq!(ids(&found), [1]);
        assert_eq!(found.source_value.as_deref(), Some("44054006"));
        assert_eq!(found.source_concept_id, Some(1));
        assert!(!found.is_undecided);
    }

    #[test]
    fn a_mapped_code_is_better_than_a_preferred_one_without_map() {
        let found = resolve(&format!("[{},{}]", coding(SNOMED, "unknown"), coding(ICD, "E11.9")), Priority::Clinical);
        assert_eq!((ids(&found), found.source_value.as_deref()), (vec![1], Some("E11.9")));
    }

    #[test]
    fn one_code_may_have_several_targets() {
        let found = resolve(&format!("[{}]", coding(ICD, "E11.69")), Priority::Clinical);
        assert_eq!(ids(&found), [1, 2]);
        assert_eq!(found.source_concept_id, Some(4));
    }

    #[test]
    fn the_more_specific_code_wins_then_the_chosen_one_then_the_first() {
        let parent_first = format!("[{},{}]", coding(SNOMED, "73211009"), coding(SNOMED, "44054006"));
        assert_eq!(ids(&resolve(&parent_first, Priority::Clinical)), [1]);
        let child_first = format!("[{},{}]", coding(SNOMED, "44054006"), coding(SNOMED, "73211009"));
        assert_eq!(ids(&resolve(&child_first, Priority::Clinical)), [1]);
        let chosen = format!(r#"[{},{{"system":"{ICD}","code":"E11.69","userSelected":true}}]"#, coding(ICD, "E11.9"));
        assert_eq!(ids(&resolve(&chosen, Priority::Clinical)), [1, 2]);
        let plain = resolve(&format!("[{},{}]", coding(ICD, "E11.9"), coding(ICD, "E11.69")), Priority::Clinical);
        assert_eq!((ids(&plain), plain.is_undecided), (vec![1], true));
    }

    #[test]
    fn spelling_is_normalised_once_and_said() {
        let found = resolve(&format!("[{}]", coding(ICD, "e119")), Priority::Clinical);
        assert_eq!((ids(&found), found.is_normalised, found.source_value.as_deref()), (vec![1], true, Some("e119")));
        let ndc = resolve(&format!("[{}]", coding("http://hl7.org/fhir/sid/ndc", "0071-0155-23")), Priority::Drug);
        assert_eq!((ids(&ndc), ndc.is_normalised), (vec![6], true));
        let exact = resolve(&format!("[{}]", coding(ICD, "E11.9")), Priority::Clinical);
        assert!(!exact.is_normalised);
    }

    #[test]
    fn unknown_codes_systems_and_no_code_are_unmapped() {
        let unknown = resolve(&format!("[{}]", coding("urn:oid:2.16.840.1.113883.6.96", "999")), Priority::Clinical);
        assert_eq!((unknown.concept_id(), unknown.source_value.as_deref()), (0, Some("999")));
        let local =
            resolve(r#"[{"system":"http://hospital.example/codes","code":"X1"},{"code":"X2"}]"#, Priority::Drug);
        assert_eq!((local.concept_id(), local.source_value.as_deref()), (0, Some("X1")));
        assert_eq!(resolve(r#"[{"display":"only a name"},{"code":" "}]"#, Priority::Drug), Resolution::default());
    }

    #[test]
    fn a_target_that_is_not_standard_does_not_count() {
        let found = resolve(&format!("[{}]", coding(SNOMED, "1")), Priority::Clinical);
        assert_eq!((found.concept_id(), found.source_concept_id), (0, Some(8)));
    }
}
