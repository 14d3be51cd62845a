//! FHIR R4 NDJSON, shaped after US Core.

mod care;
mod claim;
mod clinical;
mod demographic;
mod dirty;
mod document;
mod imaging;
mod product;
mod treatment;

use model::document::Element;

use super::Json;
use crate::Options;
use crate::dirt::{Blemish, Fault};
use crate::module::{Code, EncounterClass, Id};
use crate::moment::Moment;
use crate::record::{Observation, ObservationValue, Record, Selection};
use crate::world::World;

pub use dirty::local_code;

/// The resource types that are written, in the order of the output files.
pub const TYPES: [&str; 22] = [
    "Patient",
    "Practitioner",
    "Organization",
    "Location",
    "Encounter",
    "Condition",
    "Observation",
    "Procedure",
    "MedicationRequest",
    "Immunization",
    "AllergyIntolerance",
    "DiagnosticReport",
    "CarePlan",
    "MedicationAdministration",
    "Device",
    "DeviceUseStatement",
    "SupplyDelivery",
    "ImagingStudy",
    "Coverage",
    "Claim",
    "ExplanationOfBenefit",
    "DocumentReference",
];

/// True for the types that a population of these options may have.
pub fn is_wanted(resource_type: &str, options: &Options) -> bool {
    match resource_type {
        "Coverage" | "Claim" | "ExplanationOfBenefit" => options.claims,
        "DocumentReference" => options.notes,
        _ => true,
    }
}

/// Lines of NDJSON by type, with their counts.
#[derive(Debug, Default)]
pub struct Lines {
    /// Bytes of each type of [`TYPES`].
    pub bytes: [Vec<u8>; TYPES.len()],
    /// Resources of each type.
    pub counts: [u64; TYPES.len()],
    /// Bundles of what the source deletes.
    pub deleted: Vec<u8>,
    /// How many Bundles.
    pub deleted_count: u64,
}

/// Takes each resource, with its type, where it is made.
pub type Taker<'t> = &'t mut dyn FnMut(&'static str, Element<'_>);

/// Writes resources.
pub struct FhirSink<'w> {
    world: &'w World,
    json: Json,
    /// Who takes the resources in place of the lines.
    taker: Option<Taker<'w>>,
    /// What is wrong with the resource at hand.
    blemish: Blemish,
    /// The version of the resource at hand, where it says so.
    version: Option<u32>,
    /// `Type/id` of what of this patient is deleted.
    deletions: Vec<(&'static str, uuid::Uuid)>,
    /// What is written so far.
    pub lines: Lines,
}

impl<'w> FhirSink<'w> {
    /// An empty sink.
    pub fn new(world: &'w World) -> FhirSink<'w> {
        FhirSink {
            world,
            json: Json::default(),
            taker: None,
            blemish: Blemish::None,
            version: None,
            deletions: Vec::new(),
            lines: Lines::default(),
        }
    }

    /// A sink without lines, whose resources are taken one by one. What is cut off in the middle is none.
    pub fn with_taker(world: &'w World, taker: Taker<'w>) -> FhirSink<'w> {
        FhirSink { json: Json::with_notes(), taker: Some(taker), ..FhirSink::new(world) }
    }

    /// Writes the selected part of a record.
    pub fn write(&mut self, record: &Record, selection: &Selection) {
        for (resource_type, indexes) in selection.by_type() {
            for index in indexes {
                self.versions(record, resource_type, *index, &|sink| match resource_type {
                    "Patient" => sink.patient(record),
                    "Encounter" => sink.encounter(record, *index),
                    "Condition" => sink.condition(record, *index),
                    "Observation" => sink.observation(record, *index),
                    "Procedure" => sink.procedure(record, *index),
                    "MedicationRequest" => sink.medication_request(record, *index),
                    "Immunization" => sink.immunization(record, *index),
                    "AllergyIntolerance" => sink.allergy(record, *index),
                    "DiagnosticReport" => sink.diagnostic_report(record, selection, *index),
                    "CarePlan" => sink.care_plan(record, *index),
                    "MedicationAdministration" => sink.medication_administration(record, *index),
                    "Device" => sink.device(record, *index),
                    "DeviceUseStatement" => sink.device_use_statement(record, *index),
                    "SupplyDelivery" => sink.supply_delivery(record, *index),
                    "ImagingStudy" => sink.imaging_study(record, *index),
                    "Coverage" => sink.coverage(record, *index),
                    "Claim" => sink.claim(record, *index),
                    "ExplanationOfBenefit" => sink.explanation_of_benefit(record, *index),
                    _ => sink.document_reference(record, *index),
                });
            }
        }
        self.delete(record);
    }

    /// Writes what a day brings of a patient, in versions of that number.
    pub fn write_update(
        &mut self,
        record: &Record,
        selection: &Selection,
        deleted: &[(&'static str, u32)],
        version: u32,
    ) {
        let id = |(kind, index): &(&'static str, u32)| (*kind, record.patient.id(kind, u64::from(*index)));
        self.deletions = deleted.iter().map(id).collect();
        self.version = Some(version);
        self.write(record, selection);
        self.version = None;
    }

    /// Writes that another record of the patient is replaced.
    pub fn write_replaced(&mut self, record: &Record, version: u32) {
        self.version = Some(version);
        self.patient_record(record, Some(true));
        self.version = None;
    }

    /// Writes clinics, hospitals and doctors.
    pub fn write_facilities(&mut self) {
        for index in 0..self.world.facilities.practitioners.len() {
            self.practitioner(index);
        }
        for index in 0..self.world.facilities.organizations.len() {
            self.organization(index);
            self.location(index);
        }
        if self.world.options.claims {
            self.payers();
        }
    }

    fn begin(&mut self, resource_type: &str, id: uuid::Uuid, profile: &str) {
        self.open(resource_type, id);
        self.json.object("meta");
        self.tell_version();
        self.json.array("profile");
        self.json.text_item(&format!("http://hl7.org/fhir/us/core/StructureDefinition/{profile}"));
        self.json.end_array();
        self.json.end();
        self.modifier_extension();
    }

    /// Begins a resource of no profile.
    fn begin_plain(&mut self, resource_type: &str, id: uuid::Uuid) {
        self.open(resource_type, id);
        if self.version.is_some() {
            self.json.object("meta");
            self.tell_version();
            self.json.end();
        }
        self.modifier_extension();
    }

    fn open(&mut self, resource_type: &str, id: uuid::Uuid) {
        let no_id = self.blemish == Blemish::Invalid(Fault::NoId);
        self.json.resource(resource_type, (!no_id).then_some(id));
    }

    fn finish(&mut self, resource_type: &str) {
        let Some(index) = TYPES.iter().position(|known| *known == resource_type) else { return };
        let is_truncated = self.blemish == Blemish::Invalid(Fault::Truncated);
        self.lines.counts[index] += 1;
        match &mut self.taker {
            None => self.json.finish(is_truncated, &mut self.lines.bytes[index]),
            Some(_) if is_truncated => {}
            Some(take) => {
                if let Some(element) = self.json.finish_element() {
                    take(TYPES[index], element);
                }
            }
        }
    }

    fn moment(&mut self, key: &str, record: &Record, moment: Moment) {
        let zone = record.patient.zone;
        match self.blemish {
            Blemish::None => self.json.plain(key, |out| zone.write(moment, out)),
            Blemish::Invalid(Fault::NoDate) => {}
            blemish => self.json.plain(key, |out| dirty::write_moment(zone, moment, blemish, out)),
        }
    }

    fn coding(&mut self, code: &Code) {
        self.json.item();
        self.coding_fields(code);
        self.json.end();
    }

    fn coding_fields(&mut self, code: &Code) {
        self.json.text("system", &code.system);
        self.json.text("code", &code.code);
        self.json.text("display", &code.display);
    }

    /// A CodeableConcept with every code of a list.
    fn concept(&mut self, key: &str, list: Id) {
        self.json.object(key);
        self.codings(list);
    }

    fn concept_item(&mut self, list: Id) {
        self.json.item();
        self.codings(list);
    }

    fn codings(&mut self, list: Id) {
        let codes = &self.world.library.codes;
        self.json.array("coding");
        for code in codes.list(list) {
            self.coding(code);
        }
        self.json.end_array();
        self.json.text("text", &codes.first(list).display);
        self.json.end();
    }

    /// A CodeableConcept with one code, given bare.
    fn fixed(&mut self, key: &str, system: &str, code: &str, display: &str) {
        self.json.object(key);
        self.fixed_coding(system, code, display);
        self.json.end();
    }

    fn fixed_item(&mut self, system: &str, code: &str, display: &str) {
        self.json.item();
        self.fixed_coding(system, code, display);
        self.json.end();
    }

    fn fixed_coding(&mut self, system: &str, code: &str, display: &str) {
        self.json.array("coding");
        self.json.item();
        self.json.text("system", system);
        self.json.text("code", code);
        if !display.is_empty() {
            self.json.text("display", display);
        }
        self.json.end();
        self.json.end_array();
    }

    fn value(&mut self, value: &ObservationValue) {
        match value {
            ObservationValue::None => {}
            ObservationValue::Quantity(number, unit) => {
                self.json.object("valueQuantity");
                self.json.number("value", *number);
                if let Some(unit) = unit {
                    self.json.text("unit", unit);
                    self.json.text("system", "http://unitsofmeasure.org");
                    self.json.text("code", unit);
                }
                self.json.end();
            }
            ObservationValue::Code(code) => {
                let code = self.world.library.codes.code(*code);
                self.json.object("valueCodeableConcept");
                self.json.array("coding");
                self.coding(code);
                self.json.end_array();
                self.json.text("text", &code.display);
                self.json.end();
            }
            ObservationValue::Text(text) => self.json.text("valueString", text),
        }
    }

    fn subject(&mut self, key: &str, record: &Record) {
        let patient = |n| record.patient.id("Patient", n);
        match self.blemish {
            Blemish::Invalid(Fault::NoPatient) => {}
            Blemish::Invalid(Fault::TextForPatient) => self.json.text(key, &format!("Patient/{}", patient(0))),
            Blemish::Invalid(Fault::UnknownPatient) => self.json.reference(key, "Patient", patient(dirty::NOBODY)),
            _ => self.json.reference(key, "Patient", record.patient.own_id()),
        }
    }

    fn in_encounter(&mut self, record: &Record, encounter: Option<u32>) {
        if let Some(index) = encounter {
            self.json.reference("encounter", "Encounter", record.patient.id("Encounter", u64::from(index)));
        }
    }

    /// A reason by its code.
    fn reason_code(&mut self, reason: Option<Id>) {
        if let Some(reason) = reason {
            self.json.array("reasonCode");
            self.concept_item(reason);
            self.json.end_array();
        }
    }

    /// A condition as the one item of a list of references.
    fn about(&mut self, key: &str, record: &Record, condition: Option<u32>) {
        if let Some(condition) = condition {
            self.json.array(key);
            self.json.reference_item("Condition", record.patient.id("Condition", u64::from(condition)));
            self.json.end_array();
        }
    }

    /// The doctor of a visit.
    fn practitioner_of(&self, record: &Record, encounter: Option<u32>) -> Option<uuid::Uuid> {
        let encounter = &record.encounters[encounter? as usize];
        Some(self.world.facilities.id("Practitioner", encounter.practitioner))
    }
}

/// Code and display of an encounter class.
pub(crate) fn class_code(class: EncounterClass) -> (&'static str, &'static str) {
    match class {
        EncounterClass::Ambulatory
        | EncounterClass::Wellness
        | EncounterClass::Outpatient
        | EncounterClass::UrgentCare => ("AMB", "ambulatory"),
        EncounterClass::Emergency => ("EMER", "emergency"),
        EncounterClass::Inpatient | EncounterClass::Hospice | EncounterClass::SkilledNursing => {
            ("IMP", "inpatient encounter")
        }
        EncounterClass::Virtual => ("VR", "virtual"),
        EncounterClass::Home => ("HH", "home health"),
    }
}

/// H, L or N by the reference range.
pub(crate) fn interpretation(observation: &Observation) -> Option<(&'static str, &'static str)> {
    let (low, high) = observation.range?;
    let ObservationValue::Quantity(value, _) = observation.value else { return None };
    Some(match () {
        () if low.is_some_and(|low| value < low) => ("L", "Low"),
        () if high.is_some_and(|high| value > high) => ("H", "High"),
        () => ("N", "Normal"),
    })
}

#[cfg(test)]
mod tests;
