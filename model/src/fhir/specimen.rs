//! Specimen.

use serde::Deserialize;

use super::{CodeableConcept, DateTime, Extension, Meta, Period, Quantity, Reference, Str};

/// A sample taken for analysis.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Specimen<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `available`, `unavailable`, `unsatisfactory`, `entered-in-error`.
    pub status: Option<Str<'a>>,
    /// What it is a sample of.
    #[serde(rename = "type", default)]
    pub specimen_type: CodeableConcept<'a>,
    /// Whom or what it comes from.
    pub subject: Option<Reference<'a>>,
    /// When the laboratory got it.
    pub received_time: Option<DateTime>,
    /// How it was taken.
    pub collection: Option<Collection<'a>>,
}

/// How a sample was taken.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Collection<'a> {
    /// `collectedDateTime`
    pub collected_date_time: Option<DateTime>,
    /// `collectedPeriod`
    pub collected_period: Option<Period>,
    /// How much.
    pub quantity: Option<Quantity<'a>>,
    /// Where on the body.
    pub body_site: Option<CodeableConcept<'a>>,
}
