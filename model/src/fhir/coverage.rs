//! Coverage.

use serde::Deserialize;

use super::{CodeableConcept, Extension, Meta, Period, Reference, Str};

/// Who pays for care, and when.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Coverage<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `active`, `cancelled`, `draft`, `entered-in-error`.
    pub status: Option<Str<'a>>,
    /// What kind of payer.
    #[serde(rename = "type", default)]
    pub coverage_type: CodeableConcept<'a>,
    /// The number of whoever is insured.
    pub subscriber_id: Option<Str<'a>>,
    /// The patient.
    pub beneficiary: Option<Reference<'a>>,
    /// While it lasts.
    pub period: Option<Period>,
    /// Who pays.
    #[serde(default)]
    pub payor: Vec<Reference<'a>>,
    /// Plan, group, …
    #[serde(default)]
    pub class: Vec<CoverageClass<'a>>,
}

/// A plan, a group or the like.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct CoverageClass<'a> {
    /// `plan`, `group`, `class`, …
    #[serde(rename = "type", default)]
    pub class_type: CodeableConcept<'a>,
    /// Its code.
    pub value: Option<Str<'a>>,
    /// Its name.
    pub name: Option<Str<'a>>,
}
