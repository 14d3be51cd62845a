//! Claim and ExplanationOfBenefit.

use serde::Deserialize;

use super::{CodeableConcept, Decimal, Extension, Meta, Reference, Str};

/// What a provider asks to be paid.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Claim<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `active`, `cancelled`, `draft`, `entered-in-error`.
    pub status: Option<Str<'a>>,
    /// `institutional`, `pharmacy`, `professional`, …
    #[serde(rename = "type", default)]
    pub claim_type: CodeableConcept<'a>,
    /// `claim`, `preauthorization` or `predetermination`.
    #[serde(rename = "use")]
    pub claim_use: Option<Str<'a>>,
    /// The patient.
    pub patient: Option<Reference<'a>>,
    /// The coverages that are asked.
    #[serde(default)]
    pub insurance: Vec<ClaimInsurance<'a>>,
    /// What was done.
    #[serde(default)]
    pub item: Vec<ClaimItem<'a>>,
    /// The sum.
    pub total: Option<Money<'a>>,
}

/// What a payer pays, and why.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct ExplanationOfBenefit<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `active`, `cancelled`, `draft`, `entered-in-error`.
    pub status: Option<Str<'a>>,
    /// `institutional`, `pharmacy`, `professional`, …
    #[serde(rename = "type", default)]
    pub claim_type: CodeableConcept<'a>,
    /// `claim`, `preauthorization` or `predetermination`.
    #[serde(rename = "use")]
    pub claim_use: Option<Str<'a>>,
    /// The patient.
    pub patient: Option<Reference<'a>>,
    /// The claim that is answered.
    pub claim: Option<Reference<'a>>,
    /// The coverages that pay.
    #[serde(default)]
    pub insurance: Vec<ClaimInsurance<'a>>,
    /// What was done.
    #[serde(default)]
    pub item: Vec<ClaimItem<'a>>,
    /// Sums by category.
    #[serde(default)]
    pub total: Vec<Adjudication<'a>>,
    /// What was paid.
    pub payment: Option<Payment<'a>>,
}

/// A coverage of a claim.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct ClaimInsurance<'a> {
    /// True for the one that is asked.
    pub focal: Option<bool>,
    /// The coverage.
    pub coverage: Option<Reference<'a>>,
}

/// A line of a claim.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct ClaimItem<'a> {
    /// During which encounters.
    #[serde(default)]
    pub encounter: Vec<Reference<'a>>,
    /// The revenue center.
    pub revenue: Option<CodeableConcept<'a>>,
}

/// An amount and what it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Adjudication<'a> {
    /// `submitted`, `benefit`, `copay`, …
    #[serde(default)]
    pub category: CodeableConcept<'a>,
    /// The amount.
    pub amount: Option<Money<'a>>,
}

/// What was paid.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Payment<'a> {
    /// The amount.
    pub amount: Option<Money<'a>>,
}

/// An amount of money.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Money<'a> {
    /// The amount.
    pub value: Option<Decimal<'a>>,
    /// The currency, as three letters.
    pub currency: Option<Str<'a>>,
}
