//! Observation and its components to `measurement`, `observation` or wherever the domain says.

use model::fhir::{CodeableConcept, DateTime, Observation, ReferenceRange, Value};
use model::omop::Measurement;
use model::vocabulary::{rule, value};

use super::draft::{Draft, Visit, literal, other_type};
use super::event::Event;
use super::value::{Found, event_value};
use super::Judgement;
use crate::vocabulary::{Domain, Priority};

/// Maps an Observation.
pub fn from_observation(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let observation: Observation<'_> = draft.read()?;
    draft.gate_modifiers(&observation.modifier_extension, observation.implicit_rules.as_ref())?;
    for (index, component) in observation.component.iter().enumerate() {
        draft.gate_extensions(&format!("component[{index}]"), &component.modifier_extension)?;
    }
    draft.gate_status("Observation.status", observation.status.as_deref(), &["final", "amended", "corrected"])?;
    let has_components = observation.component.iter().any(|component| component.data_absent_reason.is_none());
    if let Some(reason) = observation.data_absent_reason.as_ref().filter(|_| !has_components) {
        return Err(Judgement::excluded("data_absent", reason.first_code().unwrap_or_default()));
    }
    let person_id = draft.person("Observation.subject", observation.subject.as_ref())?;
    let start = start(draft, &observation)?;
    let setting = Setting {
        person_id,
        start,
        default: default_domain(&observation),
        type_concept_id: type_concept_id(&observation, start),
        visit: draft.visit("Observation.encounter", observation.encounter.as_ref()),
        provider_id: draft.provider("Observation.performer", &observation.performer),
    };
    let mut about = None;
    let own = Reading {
        element: "Observation.code",
        code: &observation.code,
        value: observation.value(),
        interpretation: &observation.interpretation,
        reference_range: &observation.reference_range,
    };
    if observation.data_absent_reason.is_none() && (own.value.is_some() || observation.component.is_empty()) {
        about = own.emit(draft, &setting, String::new(), None);
    }
    for (index, component) in observation.component.iter().enumerate() {
        if component.data_absent_reason.is_some() {
            draft.lose("Observation.component", "data_absent");
            continue;
        }
        let reading = Reading {
            element: "Observation.component.code",
            code: &component.code,
            value: component.value(),
            interpretation: &component.interpretation,
            reference_range: &component.reference_range,
        };
        reading.emit(draft, &setting, format!("component[{index}]"), about);
    }
    if draft.has_rows() {
        return Ok(());
    }
    let is_absent = !observation.component.is_empty() && !has_components;
    Err(Judgement::excluded(if is_absent { "data_absent" } else { "domain_visit" }, "Observation.code"))
}

/// The row of an event.
pub fn row<'d>(key: i64, concept_id: i32, event: &Event<'d>) -> Measurement<'d> {
    Measurement {
        measurement_id: key,
        person_id: event.person_id,
        measurement_concept_id: concept_id,
        measurement_date: event.start.date,
        measurement_datetime: event.start.utc(),
        measurement_type_concept_id: event.type_concept_id,
        operator_concept_id: event.value.operator_concept_id,
        value_as_number: event.value.number,
        value_as_concept_id: event.value.concept_id.or(event.qualifier_concept_id.filter(|_| !event.value.is_some())),
        unit_concept_id: event.value.unit_concept_id,
        range_low: event.value.range_low,
        range_high: event.value.range_high,
        provider_id: event.provider_id,
        visit_occurrence_id: event.visit.visit_occurrence_id,
        visit_detail_id: event.visit.visit_detail_id,
        measurement_source_value: event.source_value.clone(),
        measurement_source_concept_id: event.source_concept_id,
        unit_source_value: event.value.unit_source_value.clone(),
        value_source_value: event
            .value
            .source_value
            .clone()
            .or_else(|| event.qualifier_source_value.clone().filter(|_| !event.value.is_some())),
        measurement_event_id: event.about.map(|(key, _)| key),
        meas_event_field_concept_id: event.about.map(|(_, field)| field),
        ..Measurement::default()
    }
}

/// What an Observation's results share.
struct Setting {
    person_id: i64,
    start: DateTime,
    default: Domain,
    type_concept_id: i32,
    visit: Visit,
    provider_id: Option<i64>,
}

/// One result: the Observation's own or a component's.
struct Reading<'k, 'd> {
    element: &'static str,
    code: &'k CodeableConcept<'d>,
    value: Option<Value<'k, 'd>>,
    interpretation: &'k [CodeableConcept<'d>],
    reference_range: &'k [ReferenceRange<'d>],
}

impl<'d> Reading<'_, 'd> {
    /// Writes the rows; returns the key and the field concept of the first, for what is about it.
    fn emit(
        &self,
        draft: &mut Draft<'d, '_>,
        setting: &Setting,
        part: String,
        about: Option<(i64, i32)>,
    ) -> Option<(i64, i32)> {
        let code = draft.resolve(self.element, self.code, Priority::Observation);
        let mut event =
            Event::new(setting.default, setting.person_id, setting.start, setting.type_concept_id, &code);
        event.part = part;
        event.visit = setting.visit;
        event.provider_id = setting.provider_id;
        event.about = about;
        let found = Found { value: self.value, reference_range: self.reference_range };
        event.value = event_value(draft, &found);
        if event.value.concept_id.is_none() {
            event.value.concept_id = code.value_concept_id;
        }
        if let Some(interpretation) = self.interpretation.iter().find(|concept| !concept.coding.is_empty()) {
            let known = interpretation.coding.iter().find_map(|coding| {
                let code = coding.code.as_ref()?;
                Some((value("interpretation", code)?, code))
            });
            event.qualifier_concept_id = known.map(|(concept_id, _)| concept_id);
            event.qualifier_source_value = match known {
                Some((_, code)) => draft.source_value("Observation.interpretation", Some(code)),
                None => draft.first_code("Observation.interpretation", interpretation),
            };
        }
        if self.interpretation.len() > 1 {
            draft.lose("Observation.interpretation", "first_of_many");
        }
        let (domain, key) = draft.emit(self.element, &event, &code)?;
        match domain {
            Domain::Measurement => Some((key, rule::FIELD_MEASUREMENT_ID)),
            Domain::Observation => Some((key, rule::FIELD_OBSERVATION_ID)),
            _ => None,
        }
    }
}

fn start(draft: &mut Draft<'_, '_>, observation: &Observation<'_>) -> Result<DateTime, Judgement> {
    let effective = observation
        .effective_date_time
        .or(observation.effective_period.as_ref().and_then(|period| period.start))
        .or(observation.effective_instant)
        .or(observation.effective_timing.as_ref().and_then(|timing| timing.event.first().copied()));
    if let Some(effective) = effective {
        draft.note_precision("Observation.effective[x]", &effective);
        return Ok(effective);
    }
    let Some(issued) = observation.issued else {
        return Err(Judgement::missing("Observation.effective[x]", "expected a date, or the moment of issue"));
    };
    draft.lose("Observation.effective[x]", "date_from_issued");
    Ok(issued)
}

fn has_category(observation: &Observation<'_>, code: &str) -> bool {
    observation.category.iter().any(|category| category.has_code(code))
}

fn default_domain(observation: &Observation<'_>) -> Domain {
    if has_category(observation, "laboratory") || has_category(observation, "vital-signs") {
        Domain::Measurement
    } else {
        Domain::Observation
    }
}

/// Who says so decides first, then what kind of observation it is.
fn type_concept_id(observation: &Observation<'_>, start: DateTime) -> i32 {
    let is_patient = observation.performer.iter().any(|performer| {
        literal(performer).is_some_and(|target| other_type(&target, Some(performer)) == Some("Patient"))
    });
    if is_patient {
        return rule::TYPE_PATIENT_SELF_REPORT;
    }
    if start.is_partial() {
        return rule::TYPE_EHR;
    }
    let codes = observation.category.iter().flat_map(|category| &category.coding);
    let known = codes.filter_map(|coding| value("observation_category", coding.code.as_deref()?)).next();
    known.unwrap_or(rule::TYPE_EHR)
}
