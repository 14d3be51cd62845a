//! MedicationStatement.

use serde::Deserialize;

use super::{CodeableConcept, DateTime, Dosage, Extension, Meta, Period, Reference, Str};

/// What a patient takes or took, as somebody says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct MedicationStatement<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `active`, `completed`, `entered-in-error`, `intended`, `stopped`, `on-hold`, `unknown`, `not-taken`.
    pub status: Option<Str<'a>>,
    /// Why the status is what it is.
    #[serde(default)]
    pub status_reason: Vec<CodeableConcept<'a>>,
    /// Where the drug is taken, or that the patient says so.
    pub category: Option<CodeableConcept<'a>>,
    /// The drug, as a code.
    pub medication_codeable_concept: Option<CodeableConcept<'a>>,
    /// The drug, as a Medication.
    pub medication_reference: Option<Reference<'a>>,
    /// The patient.
    pub subject: Option<Reference<'a>>,
    /// The encounter, or the episode of care.
    pub context: Option<Reference<'a>>,
    /// `effectiveDateTime`
    pub effective_date_time: Option<DateTime>,
    /// `effectivePeriod`
    pub effective_period: Option<Period>,
    /// When it was said.
    pub date_asserted: Option<DateTime>,
    /// Who said it.
    pub information_source: Option<Reference<'a>>,
    /// How it is taken.
    #[serde(default)]
    pub dosage: Vec<Dosage<'a>>,
}
