//! The data types that resources share.

use serde::Deserialize;

use super::date_time::DateTime;
use super::primitive::{Decimal, Str};

/// A concept: codings that mean the same, and its text.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct CodeableConcept<'a> {
    /// The codings, in the order of the source.
    #[serde(default)]
    pub coding: Vec<Coding<'a>>,
    /// What the user wrote or saw.
    pub text: Option<Str<'a>>,
}

impl CodeableConcept<'_> {
    /// True when it says nothing.
    pub fn is_empty(&self) -> bool {
        self.coding.is_empty() && self.text.is_none()
    }

    /// True when one of the codings has the code, whatever its system.
    pub fn has_code(&self, code: &str) -> bool {
        self.coding.iter().any(|coding| coding.code.as_deref() == Some(code))
    }

    /// The code of the first coding that has one.
    pub fn first_code(&self) -> Option<&str> {
        self.coding.iter().find_map(|coding| coding.code.as_deref())
    }
}

/// A code of a code system.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Coding<'a> {
    /// The code system's URI.
    pub system: Option<Str<'a>>,
    /// The code.
    pub code: Option<Str<'a>>,
    /// The code's name in its system.
    pub display: Option<Str<'a>>,
    /// True when a user chose this coding.
    pub user_selected: Option<bool>,
}

/// A number with a unit.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Quantity<'a> {
    /// The number.
    pub value: Option<Decimal<'a>>,
    /// `<`, `<=`, `>=` or `>`.
    pub comparator: Option<Str<'a>>,
    /// The unit as people read it.
    pub unit: Option<Str<'a>>,
    /// The system of the unit's code.
    pub system: Option<Str<'a>>,
    /// The unit's code.
    pub code: Option<Str<'a>>,
}

/// A start and an end.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Period {
    /// The start.
    pub start: Option<DateTime>,
    /// The end; absent while it lasts.
    pub end: Option<DateTime>,
}

/// A low and a high value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Range<'a> {
    /// The low end.
    pub low: Option<Quantity<'a>>,
    /// The high end.
    pub high: Option<Quantity<'a>>,
}

/// A ratio of two quantities, such as a titer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Ratio<'a> {
    /// Above the line.
    pub numerator: Option<Quantity<'a>>,
    /// Below the line.
    pub denominator: Option<Quantity<'a>>,
}

/// When something happens; only the explicit events are read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Timing {
    /// The moments.
    #[serde(default)]
    pub event: Vec<DateTime>,
}

/// A reference to another resource.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Reference<'a> {
    /// `Patient/1`, `urn:uuid:…`, `#contained`, an absolute URL or a conditional reference.
    pub reference: Option<Str<'a>>,
    /// The type of the target, where it is said apart.
    #[serde(rename = "type")]
    pub target_type: Option<Str<'a>>,
    /// A business identifier of the target, where there is no literal reference.
    pub identifier: Option<Identifier<'a>>,
}

/// A business identifier.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Identifier<'a> {
    /// The namespace.
    pub system: Option<Str<'a>>,
    /// The value.
    pub value: Option<Str<'a>>,
}

/// An extension; only the value types that a rule reads.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Extension<'a> {
    /// What the extension means.
    pub url: Option<Str<'a>>,
    /// `valueCode`
    pub value_code: Option<Str<'a>>,
    /// `valueCoding`
    pub value_coding: Option<Coding<'a>>,
    /// `valueDateTime`
    pub value_date_time: Option<DateTime>,
    /// `valuePeriod`
    pub value_period: Option<Period>,
    /// Extensions within.
    #[serde(default)]
    pub extension: Vec<Extension<'a>>,
}

/// A postal address.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Address<'a> {
    /// `home`, `work`, `temp`, `old`, `billing`.
    #[serde(rename = "use")]
    pub address_use: Option<Str<'a>>,
    /// Street, house number and the like; `null` where only an extension stands.
    #[serde(default)]
    pub line: Vec<Option<Str<'a>>>,
    /// The city.
    pub city: Option<Str<'a>>,
    /// The county.
    pub district: Option<Str<'a>>,
    /// State or province.
    pub state: Option<Str<'a>>,
    /// The postal code.
    pub postal_code: Option<Str<'a>>,
    /// The country.
    pub country: Option<Str<'a>>,
    /// When the address is or was in use.
    pub period: Option<Period>,
}

/// What the server knows about a resource.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Meta<'a> {
    /// The version.
    pub version_id: Option<Str<'a>>,
    /// When that version came to be.
    pub last_updated: Option<DateTime>,
}

/// How a drug is taken.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Dosage<'a> {
    /// The instruction as people read it.
    pub text: Option<Str<'a>>,
    /// The way into the body.
    pub route: Option<CodeableConcept<'a>>,
    /// Doses.
    #[serde(default)]
    pub dose_and_rate: Vec<DoseAndRate<'a>>,
}

/// One dose.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct DoseAndRate<'a> {
    /// `doseQuantity`
    pub dose_quantity: Option<Quantity<'a>>,
}
