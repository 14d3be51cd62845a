//! What is odd about the vocabulary, seen from a code that was looked up: gaps, retired targets, several targets in one
//! domain, domains that no table takes. Whoever keeps the vocabulary wants to know.

use super::{Domain, Vocabulary};

/// One finding about one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// A stable word: `coverage_gap`, `retired_target`, `several_targets_in_domain`, `domain_without_table`,
    /// `missing_domain`.
    pub kind: &'static str,
    /// The concept of the code, where there is one.
    pub source_concept_id: Option<i32>,
    /// The concepts that the finding is about.
    pub targets: Vec<i32>,
    /// One sentence.
    pub detail: String,
}

impl Vocabulary {
    /// Judges what the vocabulary says about a code; `concept_id` is what the mapping made of it.
    pub(crate) fn findings(
        &self,
        element: &str,
        system: Option<&str>,
        code: Option<&str>,
        concept_id: i32,
    ) -> Vec<Finding> {
        let vocabulary = system.and_then(|system| self.systems.number(system));
        let source = vocabulary.zip(code).and_then(|(vocabulary, code)| self.index.place_of_code(vocabulary, code));
        let Some(source) = source else {
            // A value of a list of FHIR's own, or a code in another spelling, may have found its concept.
            if concept_id != model::omop::NO_MATCHING_CONCEPT {
                return Vec::new();
            }
            let detail = match (code, vocabulary) {
                (None, _) => "there is no code, only a text".to_owned(),
                (_, Some(vocabulary)) => format!("`{}` has no such code", self.index.vocabulary_name(vocabulary)),
                (_, None) => "the code system is no vocabulary here".to_owned(),
            };
            return vec![Finding { kind: "coverage_gap", source_concept_id: None, targets: Vec::new(), detail }];
        };
        let source_concept_id = Some(self.index.concept_id(source));
        let finding = |kind, targets, detail| Finding { kind, source_concept_id, targets, detail };
        let valid: Vec<i32> = self.index.targets(source).map(|target| target.concept_id).collect();
        let mut found = Vec::new();
        if self.index.has_lost_target(source) {
            let detail = "maps to what is retired, not standard or not in the vocabulary".to_owned();
            found.push(finding("retired_target", Vec::new(), detail));
        } else if valid.is_empty() {
            let detail = "the concept is not standard and maps to none that is".to_owned();
            found.push(finding("coverage_gap", Vec::new(), detail));
        }
        if !is_event_code(element) {
            return found;
        }
        let domain = |target: &i32| self.index.concept(*target).map_or("", |concept| concept.domain_id);
        let mut domains: Vec<&str> = valid.iter().map(domain).collect();
        domains.sort_unstable();
        domains.dedup();
        for domain_id in domains {
            let targets: Vec<i32> = valid.iter().copied().filter(|target| domain(target) == domain_id).collect();
            if targets.len() > 1 {
                let detail = format!("one code, {} concepts of domain `{domain_id}`", targets.len());
                found.push(finding("several_targets_in_domain", targets.clone(), detail));
            }
            if domain_id.is_empty() {
                found.push(finding("missing_domain", targets, "the concept has no domain".to_owned()));
            } else if !Domain::of(domain_id).is_event() {
                let detail = format!("domain `{domain_id}` is no kind of event");
                found.push(finding("domain_without_table", targets, detail));
            }
        }
        found
    }
}

/// True for elements that say what happened, whose domain decides the table.
fn is_event_code(element: &str) -> bool {
    let last = element.rsplit('.').next().unwrap_or_default();
    matches!(last, "code" | "vaccineCode" | "medication[x]" | "conclusionCode")
        && !matches!(element, "Quantity.code" | "Practitioner.qualification.code")
}

#[cfg(test)]
mod tests {
    use super::super::build::{ConceptRow, IndexBuilder};
    use super::*;

    const SNOMED: Option<&str> = Some("http://snomed.info/sct");

    fn vocabulary() -> Vocabulary {
        let mut builder = IndexBuilder::default();
        for (concept_id, concept_code, domain_id, standard_concept, invalid_reason) in [
            (1, "sound", "Condition", "S", ""),
            (2, "two", "Condition", "", ""),
            (3, "other", "Condition", "S", ""),
            (4, "old", "Condition", "", "U"),
            (5, "gone", "Condition", "", "D"),
            (6, "unit", "Unit", "S", ""),
            (7, "nowhere", "Condition", "", ""),
            (8, "bare", "", "S", ""),
        ] {
            builder.add_concept(&ConceptRow {
                concept_id,
                domain_id,
                vocabulary_id: "SNOMED",
                concept_class_id: "",
                standard_concept,
                concept_code,
                invalid_reason,
            });
        }
        for (from, to) in [(2, 1), (2, 3), (4, 5)] {
            builder.add_relationship("Maps to", from, to);
        }
        Vocabulary::of(builder, "test")
    }

    #[track_caller]
    fn assert_kinds(element: &str, system: Option<&str>, code: &str, concept_id: i32, expected: &[&str]) {
        let found = vocabulary().findings(element, system, Some(code), concept_id);
        assert_eq!(found.iter().map(|finding| finding.kind).collect::<Vec<_>>(), expected, "{code}: {found:?}");
    }

    #[test]
    fn what_the_vocabulary_lacks_is_said() {
        assert_kinds("Condition.code", SNOMED, "sound", 1, &[]);
        assert_kinds("Condition.code", SNOMED, "unheard", 0, &["coverage_gap"]);
        assert_kinds("Condition.code", Some("urn:local"), "x", 0, &["coverage_gap"]);
        assert_kinds("Condition.code", SNOMED, "nowhere", 0, &["coverage_gap"]);
        assert_kinds("Encounter.class", Some("urn:list"), "AMB", 9202, &[]);
    }

    #[test]
    fn odd_maps_are_said() {
        assert_kinds("Condition.code", SNOMED, "two", 1, &["several_targets_in_domain"]);
        assert_kinds("Condition.code", SNOMED, "old", 0, &["retired_target"]);
        assert_kinds("Condition.code", SNOMED, "gone", 0, &["coverage_gap"]);
        assert_kinds("Condition.code", SNOMED, "unit", 6, &["domain_without_table"]);
        assert_kinds("Condition.code", SNOMED, "bare", 8, &["missing_domain"]);
        assert_kinds("Quantity.code", SNOMED, "unit", 6, &[]);
        let found = vocabulary().findings("Condition.code", SNOMED, Some("two"), 1);
        assert_eq!((found[0].source_concept_id, found[0].targets.as_slice()), (Some(2), [1, 3].as_slice()));
    }
}
