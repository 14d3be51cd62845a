//! Practitioner and PractitionerRole.

use serde::Deserialize;

use super::{CodeableConcept, Date, Extension, Meta, Reference, Str};

/// Someone who gives care.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Practitioner<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// Administrative gender.
    pub gender: Option<Str<'a>>,
    /// The birth date.
    pub birth_date: Option<Date>,
    /// Certifications, which may name a specialty.
    #[serde(default)]
    pub qualification: Vec<Qualification<'a>>,
}

/// A certification.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Qualification<'a> {
    /// What it is.
    #[serde(default)]
    pub code: CodeableConcept<'a>,
}

/// A practitioner at a place, in a function.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct PractitionerRole<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// Whether the role is in use.
    pub active: Option<bool>,
    /// Who.
    pub practitioner: Option<Reference<'a>>,
    /// Where.
    pub organization: Option<Reference<'a>>,
    /// Specialties.
    #[serde(default)]
    pub specialty: Vec<CodeableConcept<'a>>,
}
