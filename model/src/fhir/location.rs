//! Location.

use serde::Deserialize;

use super::{Address, CodeableConcept, Extension, Meta, Reference, Str};

/// A place where care is given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Location<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// Its name.
    pub name: Option<Str<'a>>,
    /// What is done there.
    #[serde(rename = "type", default)]
    pub location_type: Vec<CodeableConcept<'a>>,
    /// Its address.
    pub address: Option<Address<'a>>,
    /// Who runs it.
    pub managing_organization: Option<Reference<'a>>,
}
