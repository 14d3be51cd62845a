//! DiagnosticReport: as much as is needed to tell a sound one; its results are Observations of their own.

use serde::Deserialize;

use super::{CodeableConcept, DateTime, Extension, Meta, Period, Reference, Str};

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
    /// The conclusion in words.
    pub conclusion: Option<Str<'a>>,
    /// The conclusion in codes.
    #[serde(default)]
    pub conclusion_code: Vec<CodeableConcept<'a>>,
}
