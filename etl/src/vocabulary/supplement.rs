//! The concepts that the mapping rules name, held against a vocabulary that is being imported: what it lacks is added
//! from the starter, so that no row of `omop` points to nothing, and what differs is said.

use std::collections::BTreeSet;

use model::omop::{NO_MATCHING_CONCEPT, Row};
use model::vocabulary as starter;
use serde::{Deserialize, Serialize};

use super::starter as rows_of;
use super::watch::{Seen, Wanted};

/// A concept that a mapping rule names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleConcept {
    /// The concept.
    pub concept_id: i32,
    /// The name that the rule expects.
    pub concept_name: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What the starter adds.
#[derive(Default)]
pub struct Supplement {
    pub rows: Vec<Row<'static>>,
    /// The rules' concepts that were added.
    pub lacking: Vec<RuleConcept>,
    /// The rules' concepts that are there and are not what the rules expect.
    pub differing: Vec<RuleConcept>,
}

/// Everything of the starter may be needed to complete a row.
pub fn want(wanted: &mut Wanted) {
    wanted.concepts.extend(starter::starter_concepts().map(|concept| concept.concept_id));
}

/// Makes the rows.
pub fn supplement(seen: &Seen, made_classes: &[&str]) -> Supplement {
    let mut supplement = Supplement::default();
    let mut added = BTreeSet::new();
    if !seen.concepts.contains_key(&NO_MATCHING_CONCEPT) {
        added.insert(NO_MATCHING_CONCEPT);
    }
    let mut judged = BTreeSet::new();
    for rule in starter::rule_concepts().filter(|rule| rule.concept_id != NO_MATCHING_CONCEPT) {
        if !judged.insert(rule.concept_id) {
            continue;
        }
        let concept = |problem: String| RuleConcept {
            concept_id: rule.concept_id,
            concept_name: rule.expected_name.to_owned(),
            problem,
        };
        match seen.concepts.get(&rule.concept_id) {
            None => {
                added.insert(rule.concept_id);
                supplement.lacking.push(concept("is not in the vocabulary".to_owned()));
            }
            Some(known) => {
                let problem = if known.name != rule.expected_name {
                    format!("is called `{}`", known.name)
                } else if known.domain_id != rule.expected_domain {
                    format!("is of domain `{}`, expected `{}`", known.domain_id, rule.expected_domain)
                } else if rule.standard_concept.is_some() && !(known.is_standard && known.is_valid) {
                    "is not valid and standard".to_owned()
                } else {
                    continue;
                };
                supplement.differing.push(concept(problem));
            }
        }
    }
    complete(&mut supplement.rows, added, seen, made_classes);
    supplement
}

/// Adds the concepts, and whatever a column of theirs points to and the vocabulary lacks.
fn complete(rows: &mut Vec<Row<'static>>, mut added: BTreeSet<i32>, seen: &Seen, made_classes: &[&str]) {
    let concepts: Vec<_> = added.iter().filter_map(|id| starter::concept(*id)).collect();
    let links: Vec<_> = added
        .iter()
        .flat_map(|id| starter::relationships_of(*id))
        .filter(|link| added.contains(&link.concept_id_2) || seen.concepts.contains_key(&link.concept_id_2))
        .collect();
    rows.extend(links.iter().map(|link| rows_of::relationship(link)));
    let mut about = Vec::new();
    let is_new = |table, name: &str| !seen.has_name(table, name);
    for row in starter::vocabularies() {
        if concepts.iter().any(|concept| concept.vocabulary_id == row.vocabulary_id)
            && is_new("vocabulary", row.vocabulary_id)
        {
            rows.push(rows_of::vocabulary(row).into());
            about.push(row.vocabulary_concept_id);
        }
    }
    // All of them: rows of `cost` name domains, too.
    for row in starter::domains() {
        if is_new("domain", row.domain_id) {
            rows.push(rows_of::domain(row));
            about.push(row.domain_concept_id);
        }
    }
    for row in starter::concept_classes() {
        let class = row.concept_class_id;
        let is_used = concepts.iter().any(|concept| concept.concept_class_id == class) || made_classes.contains(&class);
        if is_used && is_new("concept_class", class) {
            rows.push(rows_of::concept_class(row));
            about.push(row.concept_class_concept_id);
        }
    }
    for row in starter::relationship_kinds() {
        if is_new("relationship", row.relationship_id) {
            rows.push(rows_of::relationship_kind(row));
            about.push(row.relationship_concept_id);
        }
    }
    added.extend(about.into_iter().filter(|id| !seen.concepts.contains_key(id)));
    rows.extend(added.iter().filter_map(|id| starter::concept(*id)).map(rows_of::concept));
}

#[cfg(test)]
mod tests {
    use super::super::watch::Known;
    use super::*;

    fn ids(rows: &[Row<'_>]) -> BTreeSet<i32> {
        let id = |row: &Row<'_>| if let Row::Concept(concept) = row { Some(concept.concept_id) } else { None };
        rows.iter().filter_map(id).collect()
    }

    #[test]
    fn what_rules_name_is_added_once_and_what_differs_is_said() {
        let empty = supplement(&Seen::default(), &[]);
        let expected: BTreeSet<i32> = starter::rule_concepts().map(|rule| rule.concept_id).collect();
        assert!(ids(&empty.rows).is_superset(&expected));
        assert_eq!(empty.lacking.len(), expected.iter().filter(|id| **id != NO_MATCHING_CONCEPT).count());

        let mut seen = Seen::default();
        for concept in starter::starter_concepts() {
            let known = Known {
                name: concept.concept_name.to_owned(),
                domain_id: concept.domain_id.to_owned(),
                vocabulary_id: concept.vocabulary_id.to_owned(),
                is_standard: concept.is_standard(),
                is_valid: true,
            };
            seen.concepts.insert(concept.concept_id, known);
        }
        let whole = supplement(&seen, &[]);
        assert!(ids(&whole.rows).is_empty() && whole.lacking.is_empty() && whole.differing.is_empty());
        let rule = starter::rule::TYPE_EHR_PRESCRIPTION;
        seen.concepts.get_mut(&rule).unwrap().is_standard = false;
        seen.concepts.remove(&starter::rule::TYPE_EHR);
        let one = supplement(&seen, &[]);
        assert_eq!(ids(&one.rows), [starter::rule::TYPE_EHR].into());
        assert_eq!((one.lacking.len(), one.lacking[0].concept_id), (1, starter::rule::TYPE_EHR));
        assert_eq!(
            (one.differing[0].concept_id, one.differing[0].problem.as_str()),
            (rule, "is not valid and standard")
        );
        let links = one.rows.iter().filter(|row| matches!(row, Row::ConceptRelationship(_))).count();
        assert_eq!(links, 1, "a standard concept maps to itself");
    }
}
