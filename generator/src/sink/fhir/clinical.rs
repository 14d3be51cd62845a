//! Encounter, Condition, Observation, Procedure.

use super::{FhirSink, class_code, interpretation};
use crate::dirt::{Blemish, Fault};
use crate::moment::HOUR;
use crate::record::{Observation, ObservationValue, Record};

pub(super) const UCUM: &str = "http://unitsofmeasure.org";

impl FhirSink<'_> {
    pub(super) fn encounter(&mut self, record: &Record, index: u32) {
        let world = self.world;
        let encounter = &record.encounters[index as usize];
        self.begin("Encounter", record.patient.id("Encounter", u64::from(index)), "us-core-encounter");
        self.status("finished");
        let (code, display) = class_code(encounter.class);
        self.json.object("class");
        self.json.text("system", "http://terminology.hl7.org/CodeSystem/v3-ActCode");
        self.json.text("code", code);
        self.json.text("display", display);
        self.json.end();
        self.json.array("type");
        self.concept_item(encounter.codes);
        self.json.end_array();
        self.subject("subject", record);
        self.json.array("participant");
        self.json.item();
        self.json.array("type");
        let role = ("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "PPRF", "primary performer");
        self.fixed_item(role.0, role.1, role.2);
        self.json.end_array();
        let practitioner = world.facilities.id("Practitioner", encounter.practitioner);
        self.json.reference("individual", "Practitioner", practitioner);
        self.json.end();
        self.json.end_array();
        self.json.object("period");
        self.moment("start", record, encounter.start);
        let is_turned = self.blemish == Blemish::Invalid(Fault::EndBeforeStart);
        self.moment("end", record, if is_turned { encounter.start - HOUR } else { encounter.end });
        self.json.end();
        self.reason_code(encounter.reason);
        if let Some(discharge) = encounter.discharge {
            self.json.object("hospitalization");
            let code = world.library.codes.code(discharge);
            self.fixed("dischargeDisposition", &code.system, &code.code, &code.display);
            self.json.end();
        }
        self.json.array("location");
        self.json.item();
        self.json.reference("location", "Location", world.facilities.id("Location", encounter.organization));
        self.json.end();
        self.json.end_array();
        let provider = world.facilities.id("Organization", encounter.organization);
        self.json.reference("serviceProvider", "Organization", provider);
        self.finish("Encounter");
    }

    pub(super) fn condition(&mut self, record: &Record, index: u32) {
        let condition = &record.conditions[index as usize];
        let (category, display, profile) = if condition.problem {
            ("problem-list-item", "Problem List Item", "us-core-condition-problems-health-concerns")
        } else {
            ("encounter-diagnosis", "Encounter Diagnosis", "us-core-condition-encounter-diagnosis")
        };
        self.begin("Condition", record.patient.id("Condition", u64::from(index)), profile);
        let status = if condition.abatement.is_some() { "resolved" } else { "active" };
        self.fixed("clinicalStatus", "http://terminology.hl7.org/CodeSystem/condition-clinical", status, "");
        self.verification_status("http://terminology.hl7.org/CodeSystem/condition-ver-status");
        self.json.array("category");
        self.fixed_item("http://terminology.hl7.org/CodeSystem/condition-category", category, display);
        self.json.end_array();
        self.code("code", condition.codes);
        self.subject("subject", record);
        self.in_encounter(record, condition.encounter);
        self.moment("onsetDateTime", record, condition.onset);
        if let Some(abatement) = condition.abatement {
            self.moment("abatementDateTime", record, abatement);
        }
        self.moment("recordedDate", record, condition.recorded);
        if let Some(practitioner) = self.practitioner_of(record, condition.encounter) {
            self.json.reference("recorder", "Practitioner", practitioner);
        }
        self.finish("Condition");
    }

    pub(super) fn observation(&mut self, record: &Record, index: u32) {
        let observation = &record.observations[index as usize];
        let profile = match observation.category.as_str() {
            "laboratory" => "us-core-observation-lab",
            "vital-signs" => "us-core-vital-signs",
            _ => "us-core-simple-observation",
        };
        self.begin("Observation", record.patient.id("Observation", u64::from(index)), profile);
        self.status("final");
        self.json.array("category");
        let categories = "http://terminology.hl7.org/CodeSystem/observation-category";
        self.fixed_item(categories, &observation.category, "");
        self.json.end_array();
        self.code("code", observation.codes);
        self.subject("subject", record);
        self.in_encounter(record, observation.encounter);
        self.moment("effectiveDateTime", record, observation.time);
        self.moment("issued", record, observation.time);
        if let Some(practitioner) = self.practitioner_of(record, observation.encounter) {
            self.json.array("performer");
            self.json.reference_item("Practitioner", practitioner);
            self.json.end_array();
        }
        self.value(&self.blemish.value(self.world, &observation.value));
        if let Some((code, display)) = interpretation(observation) {
            self.json.array("interpretation");
            self.fixed_item("http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", code, display);
            self.json.end_array();
        }
        self.reference_range(observation);
        if !observation.components.is_empty() {
            self.json.array("component");
            for (codes, value) in &observation.components {
                self.json.item();
                self.concept("code", *codes);
                self.value(value);
                self.json.end();
            }
            self.json.end_array();
        }
        self.finish("Observation");
    }

    fn reference_range(&mut self, observation: &Observation) {
        let (Some((low, high)), ObservationValue::Quantity(_, unit)) = (observation.range, &observation.value) else {
            return;
        };
        self.json.array("referenceRange");
        self.json.item();
        for (key, bound) in [("low", low), ("high", high)] {
            if let Some(bound) = bound {
                self.json.object(key);
                self.quantity(bound, unit.as_deref());
            }
        }
        self.json.end();
        self.json.end_array();
    }

    /// The fields of a Quantity, and the end of its object.
    pub(super) fn quantity(&mut self, value: f64, unit: Option<&str>) {
        self.json.number("value", value);
        if let Some(unit) = unit {
            self.json.text("unit", unit);
            self.json.text("system", UCUM);
            self.json.text("code", unit);
        }
        self.json.end();
    }

    pub(super) fn procedure(&mut self, record: &Record, index: u32) {
        let procedure = &record.procedures[index as usize];
        self.begin("Procedure", record.patient.id("Procedure", u64::from(index)), "us-core-procedure");
        self.status("completed");
        self.code("code", procedure.codes);
        self.subject("subject", record);
        self.in_encounter(record, procedure.encounter);
        match procedure.end {
            Some(end) => {
                self.json.object("performedPeriod");
                self.moment("start", record, procedure.start);
                self.moment("end", record, end);
                self.json.end();
            }
            None => self.moment("performedDateTime", record, procedure.start),
        }
        self.performer(record, procedure.encounter);
        self.reason_code(procedure.reason);
        self.finish("Procedure");
    }

    /// The doctor of the visit as `performer.actor`.
    pub(super) fn performer(&mut self, record: &Record, encounter: Option<u32>) {
        if let Some(practitioner) = self.practitioner_of(record, encounter) {
            self.json.array("performer");
            self.json.item();
            self.json.reference("actor", "Practitioner", practitioner);
            self.json.end();
            self.json.end_array();
        }
    }
}
