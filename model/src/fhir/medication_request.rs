//! MedicationRequest.

use serde::Deserialize;

use super::{CodeableConcept, DateTime, Dosage, Extension, Meta, Period, Quantity, Reference, Str};

/// An order for a drug.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct MedicationRequest<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `active`, `completed`, `stopped`, …
    pub status: Option<Str<'a>>,
    /// Why it has its status.
    pub status_reason: Option<CodeableConcept<'a>>,
    /// `proposal`, `plan`, `order`, …
    pub intent: Option<Str<'a>>,
    /// True when the drug is *not* to be taken: a modifier.
    pub do_not_perform: Option<bool>,
    /// `medicationCodeableConcept`
    pub medication_codeable_concept: Option<CodeableConcept<'a>>,
    /// `medicationReference`
    pub medication_reference: Option<Reference<'a>>,
    /// The patient.
    pub subject: Option<Reference<'a>>,
    /// During which encounter.
    pub encounter: Option<Reference<'a>>,
    /// When it was written.
    pub authored_on: Option<DateTime>,
    /// Who asked for it.
    pub requester: Option<Reference<'a>>,
    /// How to take it.
    #[serde(default)]
    pub dosage_instruction: Vec<Dosage<'a>>,
    /// What to hand out.
    pub dispense_request: Option<DispenseRequest<'a>>,
}

/// What to hand out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct DispenseRequest<'a> {
    /// How long the order holds.
    pub validity_period: Option<Period>,
    /// Refills.
    pub number_of_repeats_allowed: Option<i64>,
    /// How much each time.
    pub quantity: Option<Quantity<'a>>,
    /// For how long each time.
    pub expected_supply_duration: Option<Quantity<'a>>,
}
