//! FamilyMemberHistory.

use serde::Deserialize;

use super::{CodeableConcept, DateTime, Extension, Meta, Quantity, Reference, Str};

/// What a relative of the patient has or had.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct FamilyMemberHistory<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `partial`, `completed`, `entered-in-error`, `health-unknown`.
    pub status: Option<Str<'a>>,
    /// The patient.
    pub patient: Option<Reference<'a>>,
    /// When it was written down.
    pub date: Option<DateTime>,
    /// How the relative is related.
    #[serde(default)]
    pub relationship: CodeableConcept<'a>,
    /// What the relative has or had.
    #[serde(default)]
    pub condition: Vec<FamilyCondition<'a>>,
}

/// What a relative has or had.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct FamilyCondition<'a> {
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// The condition.
    #[serde(default)]
    pub code: CodeableConcept<'a>,
    /// What became of it.
    pub outcome: Option<CodeableConcept<'a>>,
    /// `onsetAge`
    pub onset_age: Option<Quantity<'a>>,
    /// `onsetString`
    pub onset_string: Option<Str<'a>>,
}
