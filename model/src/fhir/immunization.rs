//! Immunization.

use serde::Deserialize;

use super::{CodeableConcept, DateTime, Extension, Meta, ProcedurePerformer, Quantity, Reference, Str};

/// A vaccine given, or a report of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Immunization<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `completed`, `entered-in-error`, `not-done`.
    pub status: Option<Str<'a>>,
    /// Why it was not done.
    pub status_reason: Option<CodeableConcept<'a>>,
    /// The vaccine.
    #[serde(default)]
    pub vaccine_code: CodeableConcept<'a>,
    /// The patient.
    pub patient: Option<Reference<'a>>,
    /// During which encounter.
    pub encounter: Option<Reference<'a>>,
    /// `occurrenceDateTime`
    pub occurrence_date_time: Option<DateTime>,
    /// `occurrenceString`
    pub occurrence_string: Option<Str<'a>>,
    /// When it was first written down.
    pub recorded: Option<DateTime>,
    /// True when the record comes from who gave it.
    pub primary_source: Option<bool>,
    /// Where a secondary record comes from.
    pub report_origin: Option<CodeableConcept<'a>>,
    /// The lot.
    pub lot_number: Option<Str<'a>>,
    /// The way into the body.
    pub route: Option<CodeableConcept<'a>>,
    /// How much.
    pub dose_quantity: Option<Quantity<'a>>,
    /// Who gave it.
    #[serde(default)]
    pub performer: Vec<ProcedurePerformer<'a>>,
}
