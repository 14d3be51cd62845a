//! Patient.

use serde::Deserialize;

use super::{Address, Date, DateTime, Extension, Meta, Reference, Str};

/// A person under care.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Patient<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions, among them US Core's race, ethnicity and birth sex.
    #[serde(default)]
    pub extension: Vec<Extension<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// Whether the record is in use.
    pub active: Option<bool>,
    /// Administrative gender.
    pub gender: Option<Str<'a>>,
    /// The birth date.
    pub birth_date: Option<Date>,
    /// Extensions of the birth date: the time of birth, or why it is absent.
    #[serde(rename = "_birthDate")]
    pub birth_date_element: Option<Extension<'a>>,
    /// Whether the person is dead.
    pub deceased_boolean: Option<bool>,
    /// When the person died.
    pub deceased_date_time: Option<DateTime>,
    /// Addresses.
    #[serde(default)]
    pub address: Vec<Address<'a>>,
    /// The usual practitioners.
    #[serde(default)]
    pub general_practitioner: Vec<Reference<'a>>,
    /// Who keeps the record.
    pub managing_organization: Option<Reference<'a>>,
    /// Other records of the same person.
    #[serde(default)]
    pub link: Vec<PatientLink<'a>>,
}

/// Another record of the same person.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct PatientLink<'a> {
    /// The other record.
    pub other: Option<Reference<'a>>,
    /// `replaced-by`, `replaces`, `refer` or `seealso`.
    #[serde(rename = "type")]
    pub link_type: Option<Str<'a>>,
}
