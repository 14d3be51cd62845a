//! MedicationRequest, Immunization, AllergyIntolerance, DiagnosticReport.

use super::FhirSink;
use super::clinical::UCUM;
use crate::module::Prescription;
use crate::record::{Record, Selection, sig};

impl FhirSink<'_> {
    pub(super) fn medication_request(&mut self, record: &Record, index: u32) {
        let medication = &record.medications[index as usize];
        let id = record.patient.id("MedicationRequest", u64::from(index));
        self.begin("MedicationRequest", id, "us-core-medicationrequest");
        self.status(if medication.end.is_some() { "completed" } else { "active" });
        self.json.text("intent", "order");
        self.code("medicationCodeableConcept", medication.codes);
        self.subject("subject", record);
        self.in_encounter(record, medication.encounter);
        self.moment("authoredOn", record, medication.start);
        if let Some(practitioner) = self.practitioner_of(record, medication.encounter) {
            self.json.reference("requester", "Practitioner", practitioner);
        }
        self.about("reasonReference", record, medication.reason);
        self.dosage(&medication.prescription);
        self.dispense(&medication.prescription);
        self.finish("MedicationRequest");
    }

    fn dosage(&mut self, prescription: &Prescription) {
        let Some(text) = sig(prescription) else { return };
        self.json.array("dosageInstruction");
        self.json.item();
        self.json.integer("sequence", 1);
        self.json.text("text", &text);
        if let (Some(frequency), Some((period, unit))) = (prescription.frequency, prescription.period) {
            self.json.object("timing");
            self.json.object("repeat");
            self.json.integer("frequency", i64::from(frequency));
            self.json.number("period", period);
            self.json.text("periodUnit", unit);
            self.json.end();
            self.json.end();
        }
        self.json.flag("asNeededBoolean", prescription.as_needed);
        if let Some(dose) = prescription.dose {
            self.json.array("doseAndRate");
            self.json.item();
            self.json.object("doseQuantity");
            self.quantity(dose, None);
            self.json.end();
            self.json.end_array();
        }
        self.json.end();
        self.json.end_array();
    }

    fn dispense(&mut self, prescription: &Prescription) {
        if prescription.supply_days.is_none() && prescription.refills.is_none() {
            return;
        }
        self.json.object("dispenseRequest");
        if let Some(refills) = prescription.refills {
            self.json.integer("numberOfRepeatsAllowed", i64::from(refills));
        }
        if let Some(days) = prescription.supply_days {
            self.json.object("expectedSupplyDuration");
            self.json.integer("value", i64::from(days));
            self.json.text("unit", "days");
            self.json.text("system", UCUM);
            self.json.text("code", "d");
            self.json.end();
        }
        self.json.end();
    }

    pub(super) fn immunization(&mut self, record: &Record, index: u32) {
        let immunization = &record.immunizations[index as usize];
        let id = record.patient.id("Immunization", u64::from(index));
        self.begin("Immunization", id, "us-core-immunization");
        self.status("completed");
        self.code("vaccineCode", immunization.codes);
        self.subject("patient", record);
        self.in_encounter(record, immunization.encounter);
        self.moment("occurrenceDateTime", record, immunization.time);
        self.json.flag("primarySource", true);
        self.json.text("lotNumber", &immunization.lot);
        self.performer(record, immunization.encounter);
        self.finish("Immunization");
    }

    pub(super) fn allergy(&mut self, record: &Record, index: u32) {
        let allergy = &record.allergies[index as usize];
        let id = record.patient.id("AllergyIntolerance", u64::from(index));
        self.begin("AllergyIntolerance", id, "us-core-allergyintolerance");
        let status = if allergy.abatement.is_some() { "resolved" } else { "active" };
        let clinical = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical";
        self.fixed("clinicalStatus", clinical, status, "");
        self.verification_status("http://terminology.hl7.org/CodeSystem/allergyintolerance-verification");
        self.json.text("type", if allergy.intolerance { "intolerance" } else { "allergy" });
        self.json.array("category");
        self.json.text_item(&allergy.category);
        self.json.end_array();
        self.code("code", allergy.codes);
        self.subject("patient", record);
        self.in_encounter(record, allergy.encounter);
        self.moment("onsetDateTime", record, allergy.onset);
        self.moment("recordedDate", record, allergy.recorded);
        if let Some(practitioner) = self.practitioner_of(record, allergy.encounter) {
            self.json.reference("recorder", "Practitioner", practitioner);
        }
        if !allergy.reactions.is_empty() {
            self.json.array("reaction");
            for (manifestation, severity) in &allergy.reactions {
                self.json.item();
                self.json.array("manifestation");
                self.concept_item(*manifestation);
                self.json.end_array();
                self.json.text("severity", severity);
                self.json.end();
            }
            self.json.end_array();
        }
        self.finish("AllergyIntolerance");
    }

    pub(super) fn diagnostic_report(&mut self, record: &Record, selection: &Selection, index: u32) {
        let report = &record.reports[index as usize];
        let id = record.patient.id("DiagnosticReport", u64::from(index));
        self.begin("DiagnosticReport", id, "us-core-diagnosticreport-lab");
        self.json.text("status", "final");
        self.json.array("category");
        self.fixed_item("http://terminology.hl7.org/CodeSystem/v2-0074", "LAB", "Laboratory");
        self.json.end_array();
        self.concept("code", report.codes);
        self.subject("subject", record);
        self.in_encounter(record, report.encounter);
        self.moment("effectiveDateTime", record, report.time);
        self.moment("issued", record, report.time);
        if let Some(practitioner) = self.practitioner_of(record, report.encounter) {
            self.json.array("performer");
            self.json.reference_item("Practitioner", practitioner);
            self.json.end_array();
        }
        let written = |result: &&u32| selection.observations.binary_search(result).is_ok();
        if report.results.iter().any(|result| written(&result)) {
            self.json.array("result");
            for result in report.results.iter().filter(written) {
                self.json.reference_item("Observation", record.patient.id("Observation", u64::from(*result)));
            }
            self.json.end_array();
        }
        self.finish("DiagnosticReport");
    }
}
