//! MedicationDispense.

use serde::Deserialize;

use super::{CodeableConcept, DateTime, Dosage, Extension, Meta, ProcedurePerformer, Quantity, Reference, Str};

/// A drug that was handed out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct MedicationDispense<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `preparation`, `in-progress`, `cancelled`, `on-hold`, `completed`, `entered-in-error`, `stopped`, `declined`, `unknown`.
    pub status: Option<Str<'a>>,
    /// The drug, as a code.
    pub medication_codeable_concept: Option<CodeableConcept<'a>>,
    /// The drug, as a Medication.
    pub medication_reference: Option<Reference<'a>>,
    /// The patient.
    pub subject: Option<Reference<'a>>,
    /// The encounter, or the episode of care.
    pub context: Option<Reference<'a>>,
    /// Who handed it out.
    #[serde(default)]
    pub performer: Vec<ProcedurePerformer<'a>>,
    /// How much was handed out.
    pub quantity: Option<Quantity<'a>>,
    /// For how long it lasts.
    pub days_supply: Option<Quantity<'a>>,
    /// When it was packed.
    pub when_prepared: Option<DateTime>,
    /// When it was handed over.
    pub when_handed_over: Option<DateTime>,
    /// How it is to be taken.
    #[serde(default)]
    pub dosage_instruction: Vec<Dosage<'a>>,
}
