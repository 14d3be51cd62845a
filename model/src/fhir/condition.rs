//! Condition.

use serde::Deserialize;

use super::{CodeableConcept, DateTime, Extension, Meta, Period, Quantity, Range, Reference, Str};

/// A problem, diagnosis or health concern.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Condition<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `active`, `recurrence`, `relapse`, `inactive`, `remission`, `resolved`.
    pub clinical_status: Option<CodeableConcept<'a>>,
    /// `unconfirmed`, `provisional`, `differential`, `confirmed`, `refuted`, `entered-in-error`.
    pub verification_status: Option<CodeableConcept<'a>>,
    /// Problem list item or encounter diagnosis.
    #[serde(default)]
    pub category: Vec<CodeableConcept<'a>>,
    /// What it is.
    #[serde(default)]
    pub code: CodeableConcept<'a>,
    /// The patient.
    pub subject: Option<Reference<'a>>,
    /// Where it was asserted.
    pub encounter: Option<Reference<'a>>,
    /// `onsetDateTime`
    pub onset_date_time: Option<DateTime>,
    /// `onsetAge`
    pub onset_age: Option<Quantity<'a>>,
    /// `onsetPeriod`
    pub onset_period: Option<Period>,
    /// `onsetRange`, of ages.
    pub onset_range: Option<Range<'a>>,
    /// `onsetString`
    pub onset_string: Option<Str<'a>>,
    /// `abatementDateTime`
    pub abatement_date_time: Option<DateTime>,
    /// `abatementAge`
    pub abatement_age: Option<Quantity<'a>>,
    /// `abatementPeriod`
    pub abatement_period: Option<Period>,
    /// `abatementString`
    pub abatement_string: Option<Str<'a>>,
    /// When it was written down.
    pub recorded_date: Option<DateTime>,
    /// Who wrote it down.
    pub recorder: Option<Reference<'a>>,
    /// Who says so.
    pub asserter: Option<Reference<'a>>,
}
