//! Organization.

use serde::Deserialize;

use super::{Address, CodeableConcept, Extension, Meta, Str};

/// A group of people that gives or pays for care.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Organization<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// What kind of organization.
    #[serde(rename = "type", default)]
    pub organization_type: Vec<CodeableConcept<'a>>,
    /// Its name.
    pub name: Option<Str<'a>>,
    /// Addresses.
    #[serde(default)]
    pub address: Vec<Address<'a>>,
}
