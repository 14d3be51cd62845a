//! Device and DeviceUseStatement.

use serde::Deserialize;

use super::{CodeableConcept, DateTime, Extension, Meta, Period, Reference, Str, Timing};

/// A thing used in care.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Device<'a> {
    /// What it is.
    #[serde(rename = "type", default)]
    pub device_type: CodeableConcept<'a>,
    /// Its unique device identifiers.
    #[serde(default)]
    pub udi_carrier: Vec<UdiCarrier<'a>>,
    /// The lot that it comes from.
    pub lot_number: Option<Str<'a>>,
    /// Its serial number.
    pub serial_number: Option<Str<'a>>,
}

/// A unique device identifier.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct UdiCarrier<'a> {
    /// The part that names the model.
    pub device_identifier: Option<Str<'a>>,
}

/// That a patient uses or used a device.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct DeviceUseStatement<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `active`, `completed`, `entered-in-error`, `intended`, `stopped`, `on-hold`.
    pub status: Option<Str<'a>>,
    /// The patient.
    pub subject: Option<Reference<'a>>,
    /// `timingDateTime`
    pub timing_date_time: Option<DateTime>,
    /// `timingPeriod`
    pub timing_period: Option<Period>,
    /// `timingTiming`
    pub timing_timing: Option<Timing>,
    /// When it was written down.
    pub recorded_on: Option<DateTime>,
    /// Who says so.
    pub source: Option<Reference<'a>>,
    /// The device.
    pub device: Option<Reference<'a>>,
    /// Where on the body.
    pub body_site: Option<CodeableConcept<'a>>,
}
