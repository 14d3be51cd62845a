//! MedicationAdministration.

use serde::Deserialize;

use super::{CodeableConcept, DateTime, Extension, Meta, Period, ProcedurePerformer, Quantity, Ratio, Reference, Str};

/// A drug that was given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct MedicationAdministration<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `in-progress`, `not-done`, `on-hold`, `completed`, `entered-in-error`, `stopped`, `unknown`.
    pub status: Option<Str<'a>>,
    /// Why it was not given, or not to the end.
    #[serde(default)]
    pub status_reason: Vec<CodeableConcept<'a>>,
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
    /// Who gave it.
    #[serde(default)]
    pub performer: Vec<ProcedurePerformer<'a>>,
    /// How it was given.
    pub dosage: Option<AdministeredDosage<'a>>,
}

/// How a drug was given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct AdministeredDosage<'a> {
    /// The dosage as people read it.
    pub text: Option<Str<'a>>,
    /// The way into the body.
    pub route: Option<CodeableConcept<'a>>,
    /// How much.
    pub dose: Option<Quantity<'a>>,
    /// How fast, as amount per time.
    pub rate_ratio: Option<Ratio<'a>>,
    /// How fast.
    pub rate_quantity: Option<Quantity<'a>>,
}
