//! Procedure.

use serde::Deserialize;

use super::{CodeableConcept, DateTime, Extension, Meta, Period, Quantity, Range, Reference, Str};

/// Something done to or for a patient.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Procedure<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `preparation`, `in-progress`, `completed`, `not-done`, …
    pub status: Option<Str<'a>>,
    /// Surgical, diagnostic, …
    pub category: Option<CodeableConcept<'a>>,
    /// What was done.
    #[serde(default)]
    pub code: CodeableConcept<'a>,
    /// The patient.
    pub subject: Option<Reference<'a>>,
    /// During which encounter.
    pub encounter: Option<Reference<'a>>,
    /// `performedDateTime`
    pub performed_date_time: Option<DateTime>,
    /// `performedPeriod`
    pub performed_period: Option<Period>,
    /// `performedString`
    pub performed_string: Option<Str<'a>>,
    /// `performedAge`
    pub performed_age: Option<Quantity<'a>>,
    /// `performedRange`, of ages.
    pub performed_range: Option<Range<'a>>,
    /// Who did it.
    #[serde(default)]
    pub performer: Vec<ProcedurePerformer<'a>>,
    /// Where on the body.
    #[serde(default)]
    pub body_site: Vec<CodeableConcept<'a>>,
    /// Devices that were implanted, removed or changed.
    #[serde(default)]
    pub focal_device: Vec<FocalDevice<'a>>,
    /// Devices and other things that were used.
    #[serde(default)]
    pub used_reference: Vec<Reference<'a>>,
}

/// A device that was implanted, removed or changed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct FocalDevice<'a> {
    /// The device.
    pub manipulated: Option<Reference<'a>>,
}

/// Who did a procedure.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct ProcedurePerformer<'a> {
    /// Who.
    pub actor: Option<Reference<'a>>,
}
