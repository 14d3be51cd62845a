//! AllergyIntolerance.

use serde::Deserialize;

use super::{CodeableConcept, DateTime, Extension, Meta, Period, Quantity, Reference, Str};

/// A propensity to react.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct AllergyIntolerance<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `active`, `inactive`, `resolved`.
    pub clinical_status: Option<CodeableConcept<'a>>,
    /// `unconfirmed`, `confirmed`, `refuted`, `entered-in-error`.
    pub verification_status: Option<CodeableConcept<'a>>,
    /// `allergy` or `intolerance`.
    #[serde(rename = "type")]
    pub allergy_type: Option<Str<'a>>,
    /// `food`, `medication`, `environment`, `biologic`.
    #[serde(default)]
    pub category: Vec<Option<Str<'a>>>,
    /// `low`, `high`, `unable-to-assess`.
    pub criticality: Option<Str<'a>>,
    /// The allergy or the substance.
    #[serde(default)]
    pub code: CodeableConcept<'a>,
    /// The patient.
    pub patient: Option<Reference<'a>>,
    /// During which encounter.
    pub encounter: Option<Reference<'a>>,
    /// `onsetDateTime`
    pub onset_date_time: Option<DateTime>,
    /// `onsetAge`
    pub onset_age: Option<Quantity<'a>>,
    /// `onsetPeriod`
    pub onset_period: Option<Period>,
    /// When it was written down.
    pub recorded_date: Option<DateTime>,
    /// Who wrote it down.
    pub recorder: Option<Reference<'a>>,
    /// Who says so.
    pub asserter: Option<Reference<'a>>,
    /// What happened.
    #[serde(default)]
    pub reaction: Vec<Reaction<'a>>,
}

/// What happened on contact with the substance.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Reaction<'a> {
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// The substance of this reaction, more exactly.
    pub substance: Option<CodeableConcept<'a>>,
    /// Signs and symptoms.
    #[serde(default)]
    pub manifestation: Vec<CodeableConcept<'a>>,
    /// When it began.
    pub onset: Option<DateTime>,
    /// `mild`, `moderate`, `severe`.
    pub severity: Option<Str<'a>>,
}
