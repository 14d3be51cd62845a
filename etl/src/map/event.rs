//! A coded fact about a person, with what any table may want to know of it.

use std::borrow::Cow;

use chrono::NaiveDate;
use model::fhir::DateTime;
use model::omop::NO_MATCHING_CONCEPT;

use super::draft::{Draft, Visit};
use crate::vocabulary::{Domain, Resolution};

/// A fact about a person, with what any table may want to know of it.
#[derive(Clone, Debug)]
pub struct Event<'d> {
    /// The table of an unmapped code.
    pub default: Domain,
    /// True when the default is the only table, whatever the concept.
    pub is_fixed: bool,
    /// The base of the rows' parts.
    pub part: String,
    pub person_id: i64,
    pub visit: Visit,
    pub provider_id: Option<i64>,
    pub start: DateTime,
    pub end: Option<DateTime>,
    pub type_concept_id: i32,
    pub source_value: Option<Cow<'d, str>>,
    pub source_concept_id: Option<i32>,
    pub value: EventValue<'d>,
    pub qualifier_concept_id: Option<i32>,
    pub qualifier_source_value: Option<Cow<'d, str>>,
    /// The row that this one is about: its key, and the concept of that key's column.
    pub about: Option<(i64, i32)>,
    pub condition: ConditionPart<'d>,
    pub drug: DrugPart<'d>,
    pub device: DevicePart<'d>,
    pub specimen: SpecimenPart<'d>,
    pub modifier_concept_id: Option<i32>,
    pub modifier_source_value: Option<Cow<'d, str>>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventValue<'d> {
    pub number: Option<f64>,
    pub text: Option<Cow<'d, str>>,
    pub concept_id: Option<i32>,
    pub source_value: Option<Cow<'d, str>>,
    pub operator_concept_id: Option<i32>,
    pub unit_concept_id: Option<i32>,
    pub unit_source_value: Option<Cow<'d, str>>,
    pub range_low: Option<f64>,
    pub range_high: Option<f64>,
    /// True for a plain "false": the fact is denied, so it must not become one.
    pub is_denial: bool,
}

impl EventValue<'_> {
    /// True when something was found.
    pub fn is_some(&self) -> bool {
        self.number.is_some() || self.text.is_some() || self.concept_id.is_some() || self.source_value.is_some()
    }
}

/// What only `condition_occurrence` asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConditionPart<'d> {
    pub status_concept_id: Option<i32>,
    pub status_source_value: Option<Cow<'d, str>>,
    pub stop_reason: Option<Cow<'d, str>>,
}

/// What only `drug_exposure` asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrugPart<'d> {
    pub verbatim_end_date: Option<NaiveDate>,
    pub stop_reason: Option<Cow<'d, str>>,
    pub refills: Option<i32>,
    pub quantity: Option<f64>,
    pub days_supply: Option<i32>,
    pub sig: Option<Cow<'d, str>>,
    pub route_concept_id: Option<i32>,
    pub route_source_value: Option<Cow<'d, str>>,
    pub lot_number: Option<Cow<'d, str>>,
    pub dose_unit_source_value: Option<Cow<'d, str>>,
}

/// What only `device_exposure` asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DevicePart<'d> {
    pub unique_device_id: Option<Cow<'d, str>>,
    pub production_id: Option<Cow<'d, str>>,
}

/// What only `specimen` asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpecimenPart<'d> {
    pub quantity: Option<f64>,
    pub unit_concept_id: Option<i32>,
    pub unit_source_value: Option<Cow<'d, str>>,
    pub anatomic_site_concept_id: Option<i32>,
    pub anatomic_site_source_value: Option<Cow<'d, str>>,
}

impl<'d> Event<'d> {
    /// An event that knows who, when and what.
    pub fn new(default: Domain, person_id: i64, start: DateTime, type_concept_id: i32, code: &Resolution<'d>) -> Self {
        Event {
            default,
            is_fixed: false,
            part: String::new(),
            person_id,
            visit: Visit::default(),
            provider_id: None,
            start,
            end: None,
            type_concept_id,
            source_value: code.source_value.clone(),
            source_concept_id: Some(code.source_concept_id.unwrap_or(NO_MATCHING_CONCEPT)),
            value: EventValue::default(),
            qualifier_concept_id: None,
            qualifier_source_value: None,
            about: None,
            condition: ConditionPart::default(),
            drug: DrugPart::default(),
            device: DevicePart::default(),
            specimen: SpecimenPart::default(),
            modifier_concept_id: None,
            modifier_source_value: None,
        }
    }

    /// The end, unless it lies before the start: then it is counted and left out.
    pub fn set_end(&mut self, draft: &mut Draft<'_, '_>, element: &'static str, end: Option<DateTime>) {
        let Some(end) = end else {
            return;
        };
        draft.note_precision(element, &end);
        if is_before(&end, &self.start) {
            draft.lose(element, "end_before_start");
            return;
        }
        self.end = Some(end);
    }
}

/// True when the one is certainly before the other.
pub fn is_before(one: &DateTime, other: &DateTime) -> bool {
    match (one.utc(), other.utc()) {
        (Some(one), Some(other)) => one < other,
        _ => one.date < other.date,
    }
}
