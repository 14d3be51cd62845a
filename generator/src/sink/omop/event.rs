//! An event, and its row in the table of its domain.

use std::borrow::Cow;

use model::omop::{ConditionOccurrence, DeviceExposure, DrugExposure, Measurement, Observation, ProcedureOccurrence};
use model::vocabulary::{rule, value};

use super::concept::{Meaning, unit};
use super::{OmopSink, When};
use crate::record::{ObservationValue, Record, Udi};
use crate::sink::json::write_number;

/// What every event row has, whatever its table.
pub struct Event<'a> {
    pub resource_type: &'static str,
    pub id: uuid::Uuid,
    pub code: Coded<'a>,
    pub part: String,
    pub encounter: Option<u32>,
    /// The resource names its visit, and not only the doctor.
    pub in_visit: bool,
    pub type_concept_id: i32,
    pub start: When,
    pub end: Option<When>,
    pub value: &'a ObservationValue,
    pub range: Option<(Option<f64>, Option<f64>)>,
    pub interpretation: Option<&'static str>,
    pub drug: Option<Drug>,
    pub udi: Option<Udi>,
    pub status: Option<i32>,
    pub status_source: Option<&'static str>,
    /// Said of a condition that is none.
    pub denial: Option<&'static str>,
}

/// The code that decides, and what it means.
pub struct Coded<'c> {
    pub meaning: Cow<'c, Meaning>,
    pub source_value: Option<Cow<'c, str>>,
}

/// What only a drug exposure says.
#[derive(Default)]
pub struct Drug {
    pub end: Option<When>,
    pub days_supply: Option<i32>,
    pub refills: Option<i32>,
    pub quantity: Option<f64>,
    pub sig: Option<String>,
    pub lot: Option<String>,
}

impl Event<'_> {
    /// The end of an exposure: that of the supply, or of the event, or its start.
    pub fn drug_end(&self) -> When {
        self.drug.as_ref().and_then(|drug| drug.end).or(self.end).unwrap_or(self.start)
    }

    /// Where the record comes from; what is dated by a year or a month is more than that.
    pub(super) fn set_type(&mut self, type_concept_id: i32) {
        self.type_concept_id = if self.start.is_partial { rule::TYPE_EHR } else { type_concept_id };
    }
}

impl OmopSink<'_> {
    /// Adds the row of an event in a table; `seen` are the tables that have rows of it.
    #[allow(clippy::too_many_arguments, reason = "one row and where it stands among its siblings")]
    pub(super) fn row(
        &mut self,
        record: &Record,
        event: &Event<'_>,
        concept: i32,
        table: &'static str,
        with_value: bool,
        seen: &mut Vec<&'static str>,
    ) {
        let part = if seen.contains(&table) { format!("{}/{concept}", event.part) } else { event.part.clone() };
        seen.push(table);
        let key = self.key(event.resource_type, event.id, table, &part);
        let person_id = self.person_id(record);
        let provider_id = self.provider_id(record, event.encounter);
        let visit_occurrence_id = self.visit_id(record, event.encounter.filter(|_| event.in_visit));
        let meaning = &event.code.meaning;
        let source_value = event.code.source_value.clone();
        let value = if with_value { self.value_columns(event.value, meaning.value) } else { Value::default() };
        let range = event.range.filter(|_| with_value);
        let unit = value.unit.map(unit);
        match table {
            "condition_occurrence" => self.add(ConditionOccurrence {
                condition_occurrence_id: key,
                person_id,
                condition_concept_id: concept,
                condition_start_date: event.start.date,
                condition_start_datetime: event.start.datetime,
                condition_end_date: event.end.map(|end| end.date),
                condition_end_datetime: event.end.and_then(|end| end.datetime),
                condition_type_concept_id: event.type_concept_id,
                condition_status_concept_id: event.status,
                condition_status_source_value: event.status_source.map(Cow::Borrowed),
                provider_id,
                visit_occurrence_id,
                condition_source_value: source_value,
                condition_source_concept_id: Some(meaning.source_concept_id()),
                ..ConditionOccurrence::default()
            }),
            "procedure_occurrence" => self.add(ProcedureOccurrence {
                procedure_occurrence_id: key,
                person_id,
                procedure_concept_id: concept,
                procedure_date: event.start.date,
                procedure_datetime: event.start.datetime,
                procedure_end_date: event.end.map(|end| end.date),
                procedure_end_datetime: event.end.and_then(|end| end.datetime),
                procedure_type_concept_id: event.type_concept_id,
                provider_id,
                visit_occurrence_id,
                procedure_source_value: source_value,
                procedure_source_concept_id: Some(meaning.source_concept_id()),
                ..ProcedureOccurrence::default()
            }),
            "drug_exposure" => {
                let none = Drug::default();
                let drug = event.drug.as_ref().unwrap_or(&none);
                let end = event.drug_end();
                self.add(DrugExposure {
                    drug_exposure_id: key,
                    person_id,
                    drug_concept_id: concept,
                    drug_exposure_start_date: event.start.date,
                    drug_exposure_start_datetime: event.start.datetime,
                    drug_exposure_end_date: end.date,
                    drug_exposure_end_datetime: end.datetime,
                    drug_type_concept_id: event.type_concept_id,
                    refills: drug.refills,
                    quantity: drug.quantity,
                    days_supply: drug.days_supply,
                    sig: drug.sig.as_deref().map(Cow::Borrowed),
                    lot_number: drug.lot.as_deref().map(Cow::Borrowed),
                    provider_id,
                    visit_occurrence_id,
                    drug_source_value: source_value,
                    drug_source_concept_id: Some(meaning.source_concept_id()),
                    ..DrugExposure::default()
                });
            }
            "device_exposure" => {
                let udi = event.udi.as_ref();
                self.add(DeviceExposure {
                    device_exposure_id: key,
                    person_id,
                    device_concept_id: concept,
                    device_exposure_start_date: event.start.date,
                    device_exposure_start_datetime: event.start.datetime,
                    device_exposure_end_date: event.end.map(|end| end.date),
                    device_exposure_end_datetime: event.end.and_then(|end| end.datetime),
                    device_type_concept_id: event.type_concept_id,
                    unique_device_id: udi.map(|udi| udi.device_identifier.as_str().into()),
                    production_id: udi.map(|udi| format!("{}/{}", udi.lot, udi.serial).into()),
                    provider_id,
                    visit_occurrence_id,
                    device_source_value: source_value,
                    device_source_concept_id: Some(meaning.source_concept_id()),
                    ..DeviceExposure::default()
                });
            }
            "measurement" => self.add(Measurement {
                measurement_id: key,
                person_id,
                measurement_concept_id: concept,
                measurement_date: event.start.date,
                measurement_datetime: event.start.datetime,
                measurement_type_concept_id: event.type_concept_id,
                value_as_number: value.number,
                value_as_concept_id: value.concept,
                unit_concept_id: unit,
                range_low: range.and_then(|range| range.0),
                range_high: range.and_then(|range| range.1),
                provider_id,
                visit_occurrence_id,
                measurement_source_value: source_value,
                measurement_source_concept_id: Some(meaning.source_concept_id()),
                unit_source_value: value.unit.map(Cow::Borrowed),
                value_source_value: value.source.map(Cow::Owned),
                ..Measurement::default()
            }),
            _ => self.add(Observation {
                observation_id: key,
                person_id,
                observation_concept_id: concept,
                observation_date: event.start.date,
                observation_datetime: event.start.datetime,
                observation_type_concept_id: event.type_concept_id,
                value_as_number: value.number,
                value_as_string: value.text.map(Cow::Owned),
                value_as_concept_id: value.concept,
                qualifier_concept_id: event
                    .interpretation
                    .and_then(|code| self::value("interpretation", code))
                    .or(event.denial.and_then(|code| self::value("verification_qualifier", code))),
                qualifier_source_value: event.interpretation.or(event.denial).map(Cow::Borrowed),
                unit_concept_id: unit,
                provider_id,
                visit_occurrence_id,
                observation_source_value: source_value,
                observation_source_concept_id: Some(meaning.source_concept_id()),
                unit_source_value: value.unit.map(Cow::Borrowed),
                value_source_value: value.source.map(Cow::Owned),
                ..Observation::default()
            }),
        }
    }

    fn value_columns<'v>(&self, value: &'v ObservationValue, mapped: Option<i32>) -> Value<'v> {
        match value {
            ObservationValue::None => Value { concept: mapped, ..Value::default() },
            ObservationValue::Quantity(number, unit) => {
                let mut text = Vec::new();
                write_number(*number, &mut text);
                Value {
                    number: Some(*number),
                    unit: unit.as_deref(),
                    concept: mapped,
                    source: Some(String::from_utf8_lossy(&text).into_owned()),
                    ..Value::default()
                }
            }
            ObservationValue::Code(code) => Value {
                concept: Some(self.concepts.of(*code).answer()),
                source: Some(self.world.library.codes.code(*code).code.clone()),
                ..Value::default()
            },
            ObservationValue::Text(text) => {
                Value { text: Some(cut(text, 60)), source: Some(cut(text, 50)), concept: mapped, ..Value::default() }
            }
        }
    }
}

/// The value columns of a measurement or observation.
#[derive(Default)]
struct Value<'v> {
    number: Option<f64>,
    unit: Option<&'v str>,
    concept: Option<i32>,
    text: Option<String>,
    source: Option<String>,
}

fn cut(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}
