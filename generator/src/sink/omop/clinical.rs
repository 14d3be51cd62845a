//! visit_occurrence and the events: each goes to the table of its concept's domain.

use std::borrow::Cow;

use chrono::{Days, NaiveTime};
use model::omop::{NO_MATCHING_CONCEPT, Observation, VisitOccurrence};
use model::vocabulary::{rule, value};

use super::concept::Meaning;
use super::era::ingredients;
use super::event::{Coded, Drug, Event};
use super::{Observed, OmopSink, When};
use crate::dirt::Blemish;
use crate::module::Id;
use crate::record::{ObservationValue, Record, Selection, sig};
use crate::sink::fhir::{class_code, interpretation, local_code};

impl<'w> OmopSink<'w> {
    pub(super) fn visits(&mut self, record: &Record, selection: &Selection, observed: &mut Observed) {
        let mut previous: Option<i64> = None;
        // In the order of time; those that start together in the order of their keys.
        let mut order = Vec::new();
        for index in &selection.encounters {
            if self.takes(record, "Encounter", *index) {
                self.account.map("Encounter");
                let start = self.when(record, record.encounters[*index as usize].start);
                let start = start.datetime.unwrap_or(start.date.and_time(NaiveTime::MIN));
                order.push((start, self.visit_id(record, Some(*index)).unwrap_or_default(), *index));
            }
        }
        order.sort_unstable();
        for (_, visit_occurrence_id, index) in order {
            self.blemish = record.blemishes.of("Encounter", index);
            let encounter = &record.encounters[index as usize];
            let (start, end) = (self.when(record, encounter.start), self.when(record, encounter.end));
            observed.see(start.date);
            observed.see(end.date);
            observed.last_visit = observed.last_visit.max(Some(start.date));
            let class = class_code(encounter.class).0;
            let discharge = encounter.discharge.map(|code| self.world.library.codes.code(code).code.as_str());
            self.add(VisitOccurrence {
                visit_occurrence_id,
                person_id: self.person_id(record),
                visit_concept_id: value("encounter_class", class).unwrap_or(NO_MATCHING_CONCEPT),
                visit_start_date: start.date,
                visit_start_datetime: start.datetime,
                visit_end_date: end.date,
                visit_end_datetime: end.datetime,
                visit_type_concept_id: if start.is_partial { rule::TYPE_EHR } else { rule::TYPE_EHR_ENCOUNTER_RECORD },
                provider_id: Some(self.practitioner_key(encounter.practitioner)),
                care_site_id: Some(self.organization_key(encounter.organization)),
                visit_source_value: Some(class.into()),
                visit_source_concept_id: Some(NO_MATCHING_CONCEPT),
                discharged_to_concept_id: discharge
                    .map(|code| value("discharge_disposition", code).unwrap_or(NO_MATCHING_CONCEPT)),
                discharged_to_source_value: discharge.map(Cow::Borrowed),
                preceding_visit_occurrence_id: previous,
                ..VisitOccurrence::default()
            });
            previous = Some(visit_occurrence_id);
        }
    }

    pub(super) fn condition(&mut self, record: &Record, index: u32, observed: &mut Observed) {
        let condition = &record.conditions[index as usize];
        let type_concept_id =
            if condition.problem { rule::TYPE_EHR_PROBLEM_LIST } else { rule::TYPE_EHR_ENCOUNTER_RECORD };
        let mut event = self.event(record, "Condition", index, condition.codes, condition.encounter, condition.onset);
        event.set_type(type_concept_id);
        event.end = condition.abatement.map(|end| self.when(record, end));
        if self.blemish == Blemish::Refuted {
            event.denial = Some("refuted");
            return self.route(record, &event, "observation", observed);
        }
        event.status = Some(rule::CONDITION_STATUS_CONFIRMED_DIAGNOSIS);
        event.status_source = Some("confirmed");
        self.route(record, &event, "condition_occurrence", observed);
    }

    pub(super) fn procedure(&mut self, record: &Record, index: u32, observed: &mut Observed) {
        let procedure = &record.procedures[index as usize];
        let mut event = self.event(record, "Procedure", index, procedure.codes, procedure.encounter, procedure.start);
        event.set_type(if procedure.encounter.is_some() { rule::TYPE_EHR_ENCOUNTER_RECORD } else { rule::TYPE_EHR });
        event.end = procedure.end.map(|end| self.when(record, end));
        self.route(record, &event, "procedure_occurrence", observed);
    }

    pub(super) fn observation(&mut self, record: &Record, index: u32, observed: &mut Observed) {
        let observation = &record.observations[index as usize];
        let category = observation.category.as_str();
        let default = match category {
            "laboratory" | "vital-signs" => "measurement",
            _ => "observation",
        };
        let mut event =
            self.event(record, "Observation", index, observation.codes, observation.encounter, observation.time);
        event.set_type(value("observation_category", category).unwrap_or(rule::TYPE_EHR));
        let written = self.blemish.value(self.world, &observation.value);
        if observation.components.is_empty() || observation.value != ObservationValue::None {
            event.value = &written;
            // A range counts only in the value's unit.
            event.range = observation.range.filter(|_| *written == observation.value);
            event.interpretation = interpretation(observation).map(|(code, _)| code);
            self.route(record, &event, default, observed);
        }
        for (place, (codes, value)) in observation.components.iter().enumerate() {
            event.code = self.coded(*codes, "Observation");
            event.value = value;
            event.part = format!("component[{place}]");
            event.range = None;
            event.interpretation = None;
            self.route(record, &event, default, observed);
        }
    }

    pub(super) fn medication(&mut self, record: &Record, index: u32, observed: &mut Observed) {
        let medication = &record.medications[index as usize];
        let prescription = &medication.prescription;
        let mut event =
            self.event(record, "MedicationRequest", index, medication.codes, medication.encounter, medication.start);
        event.set_type(rule::TYPE_EHR_PRESCRIPTION);
        let start = event.start;
        event.drug = Some(Drug {
            end: prescription.supply_days.map(|days| When {
                date: start.date + Days::new(u64::from(days)),
                datetime: start.datetime.map(|start| start + Days::new(u64::from(days))),
                ..start
            }),
            days_supply: prescription.supply_days.map(|days| days as i32),
            refills: prescription.refills.map(|refills| refills as i32),
            sig: sig(prescription),
            ..Drug::default()
        });
        self.route(record, &event, "drug_exposure", observed);
    }

    pub(super) fn administration(&mut self, record: &Record, index: u32, observed: &mut Observed) {
        let given = &record.administrations[index as usize];
        let mut event = self.event(record, "MedicationAdministration", index, given.codes, given.encounter, given.time);
        event.set_type(rule::TYPE_EHR_ADMINISTRATION_RECORD);
        event.drug = Some(Drug { quantity: given.dose, ..Drug::default() });
        self.route(record, &event, "drug_exposure", observed);
    }

    /// The use of a device; a statement of use names no visit.
    pub(super) fn device(&mut self, record: &Record, index: u32, observed: &mut Observed) {
        let device = &record.devices[index as usize];
        let mut event = self.event(record, "DeviceUseStatement", index, device.codes, device.encounter, device.start);
        event.in_visit = false;
        event.end = device.end.map(|end| self.when(record, end));
        event.udi = Some(device.udi(&self.world.library.codes.first(device.codes).code));
        self.route(record, &event, "device_exposure", observed);
    }

    pub(super) fn immunization(&mut self, record: &Record, index: u32, observed: &mut Observed) {
        let given = &record.immunizations[index as usize];
        let mut event = self.event(record, "Immunization", index, given.codes, given.encounter, given.time);
        event.drug = Some(Drug { lot: Some(given.lot.clone()), ..Drug::default() });
        self.route(record, &event, "drug_exposure", observed);
    }

    /// An allergy is always an observation; each reaction is one more that points to it.
    pub(super) fn allergy(&mut self, record: &Record, index: u32, observed: &mut Observed) {
        let allergy = &record.allergies[index as usize];
        let id = record.patient.id("AllergyIntolerance", u64::from(index));
        let when = self.when(record, allergy.recorded);
        observed.see(when.date);
        let Coded { meaning, source_value } = self.main_code(allergy.codes, "AllergyIntolerance");
        let kind = if allergy.intolerance { "intolerance" } else { "allergy" };
        let by_category = value("allergy_category", &format!("{kind}/{}", allergy.category));
        let (concepts, value_as_concept_id) = if meaning.substance {
            (vec![by_category.unwrap_or(NO_MATCHING_CONCEPT)], Some(meaning.first()))
        } else {
            (meaning.all(), meaning.value)
        };
        let row = Observation {
            person_id: self.person_id(record),
            observation_date: when.date,
            observation_datetime: when.datetime,
            observation_type_concept_id: rule::TYPE_EHR,
            provider_id: self.provider_id(record, allergy.encounter),
            visit_occurrence_id: self.visit_id(record, allergy.encounter),
            ..Observation::default()
        };
        for (place, concept) in concepts.into_iter().enumerate() {
            let part = if place == 0 { String::new() } else { format!("/{concept}") };
            self.add(Observation {
                observation_id: self.key("AllergyIntolerance", id, "observation", &part),
                observation_concept_id: concept,
                value_as_concept_id: value_as_concept_id.filter(|_| place == 0),
                observation_source_value: source_value.clone(),
                observation_source_concept_id: Some(meaning.source_concept_id()),
                ..row.clone()
            });
        }
        let about = self.key("AllergyIntolerance", id, "observation", "");
        for (reaction, (codes, _)) in allergy.reactions.iter().enumerate() {
            let Coded { meaning, source_value } = self.coded(*codes, "AllergyIntolerance");
            for (place, concept) in meaning.all().into_iter().enumerate() {
                let part = match place {
                    0 => format!("reaction[{reaction}]"),
                    _ => format!("reaction[{reaction}]/{concept}"),
                };
                self.add(Observation {
                    observation_id: self.key("AllergyIntolerance", id, "observation", &part),
                    observation_concept_id: concept,
                    observation_source_value: source_value.clone(),
                    observation_source_concept_id: Some(meaning.source_concept_id()),
                    observation_event_id: Some(about),
                    obs_event_field_concept_id: Some(rule::FIELD_OBSERVATION_ID),
                    ..row.clone()
                });
            }
        }
    }

    fn event(
        &self,
        record: &Record,
        resource_type: &'static str,
        index: u32,
        codes: Id,
        encounter: Option<u32>,
        start: crate::moment::Moment,
    ) -> Event<'w> {
        Event {
            resource_type,
            id: record.patient.id(resource_type, u64::from(index)),
            code: self.main_code(codes, resource_type),
            part: String::new(),
            encounter,
            in_visit: true,
            type_concept_id: rule::TYPE_EHR,
            start: self.when(record, start),
            end: None,
            value: &ObservationValue::None,
            range: None,
            interpretation: None,
            drug: None,
            udi: None,
            status: None,
            status_source: None,
            denial: None,
        }
    }

    /// The deciding code of a list, and what it means.
    fn coded(&self, codes: Id, resource_type: &str) -> Coded<'w> {
        let (library, concepts) = (&self.world.library.codes, self.concepts);
        let code = concepts.deciding(library, codes, resource_type);
        let source_value = Some(Cow::Borrowed(library.code(code).code.as_str()));
        Coded { meaning: Cow::Borrowed(concepts.of(code)), source_value }
    }

    /// The code that a resource is about, as far as it tells it.
    fn main_code(&self, codes: Id, resource_type: &str) -> Coded<'w> {
        let unknown = || Cow::Owned(Meaning::default());
        match self.blemish {
            Blemish::MissingCode => Coded { meaning: unknown(), source_value: None },
            Blemish::LocalCode => {
                let code = local_code(&self.world.library.codes.first(codes).code);
                Coded { meaning: unknown(), source_value: Some(Cow::Owned(code)) }
            }
            _ => self.coded(codes, resource_type),
        }
    }

    /// One row per standard concept of the deciding code, each in the table of its domain; a code without a map makes
    /// one row in the default table. A value stands in one row only: in the default table where a concept belongs
    /// there; and when the fact goes to a table without values, in an observation of its own.
    fn route(&mut self, record: &Record, event: &Event<'_>, default: &'static str, observed: &mut Observed) {
        let meaning = &event.code.meaning;
        let mut targets: Vec<(i32, &str)> = Vec::new();
        for (concept, domain) in &meaning.standard {
            // A visit is no event, and a concept of no event domain says nothing about the fact.
            match table_of(domain) {
                // What is denied is told of, whatever it would have been.
                _ if event.denial.is_some() => targets.push((*concept, default)),
                Some(table) => targets.push((*concept, table)),
                None => {}
            }
        }
        if targets.is_empty() {
            if meaning.standard.iter().any(|(_, domain)| *domain == "Visit") {
                return;
            }
            targets.push((NO_MATCHING_CONCEPT, default));
        }
        let has_value = *event.value != ObservationValue::None || meaning.value.is_some();
        let has_value = has_value && event.resource_type == "Observation";
        if has_value && let Some(first) = targets.iter().position(|(_, table)| *table == default) {
            targets[..=first].rotate_right(1);
        }
        let mut measured = false;
        targets.retain(|(_, table)| *table != "measurement" || !std::mem::replace(&mut measured, true));
        let mut seen: Vec<&str> = Vec::new();
        for (place, (concept, table)) in targets.into_iter().enumerate() {
            if table == "condition_occurrence" && concept != NO_MATCHING_CONCEPT {
                let end = event.end.map_or(event.start.date, |end| end.date);
                observed.conditions.push((concept, event.start.date, end));
            }
            if table == "drug_exposure" {
                let end = event.drug_end();
                let each = ingredients(concept).into_iter();
                observed.ingredients.extend(each.map(|ingredient| (ingredient, event.start.date, end.date)));
            }
            self.row(record, event, concept, table, place == 0, &mut seen);
            if place == 0 && has_value && !["measurement", "observation"].contains(&table) {
                self.row(record, event, concept, "observation", true, &mut seen);
            }
        }
        observed.see(event.start.date);
    }
}

fn table_of(domain: &str) -> Option<&'static str> {
    Some(match domain {
        "Condition" => "condition_occurrence",
        "Observation" => "observation",
        "Measurement" => "measurement",
        "Procedure" => "procedure_occurrence",
        "Drug" => "drug_exposure",
        "Device" => "device_exposure",
        _ => return None,
    })
}
