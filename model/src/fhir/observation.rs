//! Observation and its components.

use serde::Deserialize;

use super::{CodeableConcept, DateTime, Extension, Meta, Period, Quantity, Range, Ratio, Reference, Str, Timing};

/// A measurement or a simple assertion.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Observation<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `registered`, `preliminary`, `final`, `amended`, `corrected`, …
    pub status: Option<Str<'a>>,
    /// Laboratory, vital signs, survey, …
    #[serde(default)]
    pub category: Vec<CodeableConcept<'a>>,
    /// What was observed.
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
    /// `effectiveTiming`
    pub effective_timing: Option<Timing>,
    /// `effectiveInstant`
    pub effective_instant: Option<DateTime>,
    /// When this version became available.
    pub issued: Option<DateTime>,
    /// Who observed.
    #[serde(default)]
    pub performer: Vec<Reference<'a>>,
    /// `valueQuantity`
    pub value_quantity: Option<Quantity<'a>>,
    /// `valueCodeableConcept`
    pub value_codeable_concept: Option<CodeableConcept<'a>>,
    /// `valueString`
    pub value_string: Option<Str<'a>>,
    /// `valueBoolean`
    pub value_boolean: Option<bool>,
    /// `valueInteger`
    pub value_integer: Option<i64>,
    /// `valueRange`
    pub value_range: Option<Range<'a>>,
    /// `valueRatio`
    pub value_ratio: Option<Ratio<'a>>,
    /// `valueSampledData`; its content is not read.
    pub value_sampled_data: Option<serde::de::IgnoredAny>,
    /// `valueTime`
    pub value_time: Option<Str<'a>>,
    /// `valueDateTime`
    pub value_date_time: Option<Str<'a>>,
    /// `valuePeriod`
    pub value_period: Option<Period>,
    /// Why there is no value.
    pub data_absent_reason: Option<CodeableConcept<'a>>,
    /// High, low, normal, …
    #[serde(default)]
    pub interpretation: Vec<CodeableConcept<'a>>,
    /// How it was done.
    pub method: Option<CodeableConcept<'a>>,
    /// The device that measured.
    pub device: Option<Reference<'a>>,
    /// What is usual.
    #[serde(default)]
    pub reference_range: Vec<ReferenceRange<'a>>,
    /// Observations that belong to this one.
    #[serde(default)]
    pub has_member: Vec<Reference<'a>>,
    /// What it was computed from.
    #[serde(default)]
    pub derived_from: Vec<Reference<'a>>,
    /// Results within this observation.
    #[serde(default)]
    pub component: Vec<Component<'a>>,
}

/// A result within an observation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Component<'a> {
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// What was observed.
    #[serde(default)]
    pub code: CodeableConcept<'a>,
    /// `valueQuantity`
    pub value_quantity: Option<Quantity<'a>>,
    /// `valueCodeableConcept`
    pub value_codeable_concept: Option<CodeableConcept<'a>>,
    /// `valueString`
    pub value_string: Option<Str<'a>>,
    /// `valueBoolean`
    pub value_boolean: Option<bool>,
    /// `valueInteger`
    pub value_integer: Option<i64>,
    /// `valueRange`
    pub value_range: Option<Range<'a>>,
    /// `valueRatio`
    pub value_ratio: Option<Ratio<'a>>,
    /// `valueSampledData`; its content is not read.
    pub value_sampled_data: Option<serde::de::IgnoredAny>,
    /// `valueTime`
    pub value_time: Option<Str<'a>>,
    /// `valueDateTime`
    pub value_date_time: Option<Str<'a>>,
    /// `valuePeriod`
    pub value_period: Option<Period>,
    /// Why there is no value.
    pub data_absent_reason: Option<CodeableConcept<'a>>,
    /// High, low, normal, …
    #[serde(default)]
    pub interpretation: Vec<CodeableConcept<'a>>,
    /// What is usual.
    #[serde(default)]
    pub reference_range: Vec<ReferenceRange<'a>>,
}

/// What is usual.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct ReferenceRange<'a> {
    /// The low end.
    pub low: Option<Quantity<'a>>,
    /// The high end.
    pub high: Option<Quantity<'a>>,
    /// `normal`, `recommended`, `treatment`, …
    #[serde(rename = "type")]
    pub range_type: Option<CodeableConcept<'a>>,
}

/// `value[x]`: one of its types.
#[derive(Clone, Copy, Debug)]
pub enum Value<'r, 'a> {
    /// `valueQuantity`
    Quantity(&'r Quantity<'a>),
    /// `valueCodeableConcept`
    CodeableConcept(&'r CodeableConcept<'a>),
    /// `valueString`
    String(&'r Str<'a>),
    /// `valueBoolean`
    Boolean(bool),
    /// `valueInteger`
    Integer(i64),
    /// `valueRange`
    Range(&'r Range<'a>),
    /// `valueRatio`
    Ratio(&'r Ratio<'a>),
    /// `valueSampledData`
    SampledData,
    /// `valueTime`
    Time(&'r Str<'a>),
    /// `valueDateTime`
    DateTime(&'r Str<'a>),
    /// `valuePeriod`
    Period(&'r Period),
}

impl<'a> Observation<'a> {
    /// The value, where there is one.
    pub fn value(&self) -> Option<Value<'_, 'a>> {
        None.or(self.value_quantity.as_ref().map(Value::Quantity))
            .or(self.value_codeable_concept.as_ref().map(Value::CodeableConcept))
            .or(self.value_string.as_ref().map(Value::String))
            .or(self.value_boolean.map(Value::Boolean))
            .or(self.value_integer.map(Value::Integer))
            .or(self.value_range.as_ref().map(Value::Range))
            .or(self.value_ratio.as_ref().map(Value::Ratio))
            .or(self.value_sampled_data.map(|_| Value::SampledData))
            .or(self.value_time.as_ref().map(Value::Time))
            .or(self.value_date_time.as_ref().map(Value::DateTime))
            .or(self.value_period.as_ref().map(Value::Period))
    }
}

impl<'a> Component<'a> {
    /// The value, where there is one.
    pub fn value(&self) -> Option<Value<'_, 'a>> {
        None.or(self.value_quantity.as_ref().map(Value::Quantity))
            .or(self.value_codeable_concept.as_ref().map(Value::CodeableConcept))
            .or(self.value_string.as_ref().map(Value::String))
            .or(self.value_boolean.map(Value::Boolean))
            .or(self.value_integer.map(Value::Integer))
            .or(self.value_range.as_ref().map(Value::Range))
            .or(self.value_ratio.as_ref().map(Value::Ratio))
            .or(self.value_sampled_data.map(|_| Value::SampledData))
            .or(self.value_time.as_ref().map(Value::Time))
            .or(self.value_date_time.as_ref().map(Value::DateTime))
            .or(self.value_period.as_ref().map(Value::Period))
    }
}
