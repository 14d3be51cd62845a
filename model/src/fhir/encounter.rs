//! Encounter.

use serde::Deserialize;

use super::{CodeableConcept, Coding, Extension, Meta, Period, Reference, Str};

/// A patient meets a provider.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Encounter<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `planned`, `arrived`, …, `finished`, `cancelled`.
    pub status: Option<Str<'a>>,
    /// Inpatient, ambulatory, emergency, …; one Coding in R4.
    pub class: Option<Coding<'a>>,
    /// Kinds of encounter.
    #[serde(rename = "type", default)]
    pub encounter_type: Vec<CodeableConcept<'a>>,
    /// The patient.
    pub subject: Option<Reference<'a>>,
    /// Who took part.
    #[serde(default)]
    pub participant: Vec<Participant<'a>>,
    /// Start and end.
    pub period: Option<Period>,
    /// About an admission.
    pub hospitalization: Option<Hospitalization<'a>>,
    /// Where.
    #[serde(default)]
    pub location: Vec<EncounterLocation<'a>>,
    /// Who is responsible.
    pub service_provider: Option<Reference<'a>>,
    /// The encounter that this one is a part of.
    pub part_of: Option<Reference<'a>>,
}

/// Who took part in an encounter.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Participant<'a> {
    /// Attender, primary performer, …
    #[serde(rename = "type", default)]
    pub participant_type: Vec<CodeableConcept<'a>>,
    /// Who.
    pub individual: Option<Reference<'a>>,
}

/// Where an encounter took place.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct EncounterLocation<'a> {
    /// The place.
    pub location: Option<Reference<'a>>,
}

/// About an admission.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Hospitalization<'a> {
    /// Where the patient came from.
    pub admit_source: Option<CodeableConcept<'a>>,
    /// Where the patient went.
    pub discharge_disposition: Option<CodeableConcept<'a>>,
}
