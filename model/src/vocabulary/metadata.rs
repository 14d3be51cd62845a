//! What the vocabulary says of itself: the vocabularies, domains, classes and kinds of relationship that the starter uses.

use std::slice::Iter;

/// One row of `vocabulary`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vocabulary {
    /// The id.
    pub vocabulary_id: &'static str,
    /// The name.
    pub vocabulary_name: &'static str,
    /// Where it is documented.
    pub vocabulary_reference: Option<&'static str>,
    /// The release of the source.
    pub vocabulary_version: Option<&'static str>,
    /// The concept that stands for it.
    pub vocabulary_concept_id: i32,
}

/// One row of `domain`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Domain {
    /// The id.
    pub domain_id: &'static str,
    /// The name.
    pub domain_name: &'static str,
    /// The concept that stands for it.
    pub domain_concept_id: i32,
}

/// One row of `concept_class`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConceptClass {
    /// The id.
    pub concept_class_id: &'static str,
    /// The name.
    pub concept_class_name: &'static str,
    /// The concept that stands for it.
    pub concept_class_concept_id: i32,
}

/// One row of `relationship`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RelationshipKind {
    /// The id.
    pub relationship_id: &'static str,
    /// The name.
    pub relationship_name: &'static str,
    /// Is it part of a hierarchy?
    pub is_hierarchical: bool,
    /// Does `concept_ancestor` follow it?
    pub defines_ancestry: bool,
    /// The relationship in the other direction.
    pub reverse_relationship_id: &'static str,
    /// The concept that stands for it.
    pub relationship_concept_id: i32,
}

include!(concat!(env!("OUT_DIR"), "/metadata.rs"));

/// The vocabularies that the starter's concepts belong to.
pub fn vocabularies() -> Iter<'static, Vocabulary> {
    VOCABULARIES.iter()
}

/// The domains that the starter's concepts belong to.
pub fn domains() -> Iter<'static, Domain> {
    DOMAINS.iter()
}

/// The classes that the starter's concepts belong to.
pub fn concept_classes() -> Iter<'static, ConceptClass> {
    CONCEPT_CLASSES.iter()
}

/// The kinds of relationship that the starter uses, and their reverses.
pub fn relationship_kinds() -> Iter<'static, RelationshipKind> {
    RELATIONSHIP_KINDS.iter()
}
