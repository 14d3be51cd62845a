//! Rows of the starter in the form of the lake's tables.

use std::borrow::Cow;

use model::omop::{self, Row};
use model::vocabulary as starter;

use super::WHOLE;

/// Every row; the release is told by the row of the whole.
pub fn rows(version: &str) -> Vec<Row<'static>> {
    let mut rows: Vec<Row<'static>> = starter::starter_concepts().map(concept).collect();
    rows.extend(starter::starter_relationships().map(relationship));
    rows.extend(starter::starter_concepts().filter(|row| row.is_standard()).map(itself));
    rows.extend(starter::starter_ancestors().map(ancestor));
    let whole = omop::Vocabulary {
        vocabulary_id: WHOLE.into(),
        vocabulary_name: "Starter of synthetic-healthlake".into(),
        vocabulary_reference: None,
        vocabulary_version: Some(version.to_owned().into()),
        vocabulary_concept_id: omop::NO_MATCHING_CONCEPT,
    };
    let mut has_whole = false;
    for row in starter::vocabularies() {
        let is_whole = row.vocabulary_id == WHOLE;
        has_whole |= is_whole;
        let mut row = vocabulary(row);
        if is_whole {
            row.vocabulary_version.clone_from(&whole.vocabulary_version);
        }
        rows.push(row.into());
    }
    if !has_whole {
        rows.push(whole.into());
    }
    rows.extend(starter::domains().map(domain));
    rows.extend(starter::concept_classes().map(concept_class));
    rows.extend(starter::relationship_kinds().map(relationship_kind));
    rows
}

pub fn concept(row: &starter::Concept) -> Row<'static> {
    omop::Concept {
        concept_id: row.concept_id,
        concept_name: row.concept_name.into(),
        domain_id: row.domain_id.into(),
        vocabulary_id: row.vocabulary_id.into(),
        concept_class_id: row.concept_class_id.into(),
        standard_concept: row.standard_concept.map(Cow::Borrowed),
        concept_code: row.concept_code.into(),
        valid_start_date: row.valid_start_date,
        valid_end_date: row.valid_end_date,
        invalid_reason: row.invalid_reason.map(Cow::Borrowed),
    }
    .into()
}

/// A relationship is valid as long as the concept that it comes from.
pub fn relationship(row: &starter::Relationship) -> Row<'static> {
    let first = starter::concept(row.concept_id_1).expect("both ends of a relationship are in the starter");
    omop::ConceptRelationship {
        concept_id_1: row.concept_id_1,
        concept_id_2: row.concept_id_2,
        relationship_id: row.relationship_id.into(),
        valid_start_date: first.valid_start_date,
        valid_end_date: first.valid_end_date,
        invalid_reason: None,
    }
    .into()
}

fn ancestor(row: &starter::Ancestor) -> Row<'static> {
    omop::ConceptAncestor {
        ancestor_concept_id: row.ancestor_concept_id,
        descendant_concept_id: row.descendant_concept_id,
        min_levels_of_separation: row.min_levels_of_separation,
        max_levels_of_separation: row.max_levels_of_separation,
    }
    .into()
}

/// Each standard concept is its own ancestor, no step away.
fn itself(row: &starter::Concept) -> Row<'static> {
    omop::ConceptAncestor {
        ancestor_concept_id: row.concept_id,
        descendant_concept_id: row.concept_id,
        min_levels_of_separation: 0,
        max_levels_of_separation: 0,
    }
    .into()
}

pub fn vocabulary(row: &starter::Vocabulary) -> omop::Vocabulary<'static> {
    omop::Vocabulary {
        vocabulary_id: row.vocabulary_id.into(),
        vocabulary_name: row.vocabulary_name.into(),
        vocabulary_reference: row.vocabulary_reference.map(Cow::Borrowed),
        vocabulary_version: row.vocabulary_version.map(Cow::Borrowed),
        vocabulary_concept_id: row.vocabulary_concept_id,
    }
}

pub fn domain(row: &starter::Domain) -> Row<'static> {
    omop::Domain {
        domain_id: row.domain_id.into(),
        domain_name: row.domain_name.into(),
        domain_concept_id: row.domain_concept_id,
    }
    .into()
}

pub fn concept_class(row: &starter::ConceptClass) -> Row<'static> {
    omop::ConceptClass {
        concept_class_id: row.concept_class_id.into(),
        concept_class_name: row.concept_class_name.into(),
        concept_class_concept_id: row.concept_class_concept_id,
    }
    .into()
}

pub fn relationship_kind(row: &starter::RelationshipKind) -> Row<'static> {
    let digit = |yes: bool| if yes { "1" } else { "0" }.into();
    omop::Relationship {
        relationship_id: row.relationship_id.into(),
        relationship_name: row.relationship_name.into(),
        is_hierarchical: digit(row.is_hierarchical),
        defines_ancestry: digit(row.defines_ancestry),
        reverse_relationship_id: row.reverse_relationship_id.into(),
        relationship_concept_id: row.relationship_concept_id,
    }
    .into()
}
