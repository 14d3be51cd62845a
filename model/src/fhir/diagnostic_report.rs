//! DiagnosticReport. Its results are Observations of their own.

use serde::Deserialize;

use super::{Attachment, CodeableConcept, DateTime, Extension, Meta, Period, Reference, Str};

/// The findings of a diagnostic service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct DiagnosticReport<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `registered`, `partial`, `preliminary`, `final`, …
    pub status: Option<Str<'a>>,
    /// Which service: laboratory, radiology, …
    #[serde(default)]
    pub category: Vec<CodeableConcept<'a>>,
    /// What kind of report.
    #[serde(default)]
    pub code: CodeableConcept<'a>,
    /// The patient, or something else.
    pub subject: Option<Reference<'a>>,
    /// During which encounter.
    pub encounter: Option<Reference<'a>>,
    /// `effectiveDateTime`
    pub effective_date_time: Option<DateTime>,
    /// `effectivePeriod`
    pub effective_period: Option<Period>,
    /// When this version became available.
    pub issued: Option<DateTime>,
    /// Who is responsible.
    #[serde(default)]
    pub performer: Vec<Reference<'a>>,
    /// The language.
    pub language: Option<Str<'a>>,
    /// The conclusion in words.
    pub conclusion: Option<Str<'a>>,
    /// The conclusion in codes.
    #[serde(default)]
    pub conclusion_code: Vec<CodeableConcept<'a>>,
    /// The whole report as it was issued.
    #[serde(default)]
    pub presented_form: Vec<Attachment<'a>>,
}
