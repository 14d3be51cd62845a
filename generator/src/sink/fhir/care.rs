//! CarePlan, MedicationAdministration.

use super::{FhirSink, class_code};
use crate::record::Record;

impl FhirSink<'_> {
    pub(super) fn care_plan(&mut self, record: &Record, index: u32) {
        let world = self.world;
        let plan = &record.care_plans[index as usize];
        let title = &world.library.codes.first(plan.codes).display;
        self.begin("CarePlan", record.patient.id("CarePlan", u64::from(index)), "us-core-careplan");
        self.json.object("text");
        self.json.text("status", "generated");
        self.json.text("div", &format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{}</div>", xhtml(title)));
        self.json.end();
        let (status, activity) =
            if plan.end.is_some() { ("completed", "completed") } else { ("active", "in-progress") };
        self.json.text("status", status);
        self.json.text("intent", "plan");
        self.json.array("category");
        let categories = "http://hl7.org/fhir/us/core/CodeSystem/careplan-category";
        self.fixed_item(categories, "assess-plan", "Assessment and Plan of Treatment");
        self.concept_item(plan.codes);
        self.json.end_array();
        self.json.text("title", title);
        self.subject("subject", record);
        self.in_encounter(record, plan.encounter);
        self.json.object("period");
        self.moment("start", record, plan.start);
        if let Some(end) = plan.end {
            self.moment("end", record, end);
        }
        self.json.end();
        self.moment("created", record, plan.start);
        if let Some(practitioner) = self.practitioner_of(record, plan.encounter) {
            self.json.reference("author", "Practitioner", practitioner);
        }
        self.about("addresses", record, plan.reason);
        if let Some(activities) = plan.activities {
            self.json.array("activity");
            for code in world.library.codes.list(activities) {
                self.json.item();
                self.json.object("detail");
                self.json.object("code");
                self.json.array("coding");
                self.coding(code);
                self.json.end_array();
                self.json.text("text", &code.display);
                self.json.end();
                self.json.text("status", activity);
                self.json.end();
                self.json.end();
            }
            self.json.end_array();
        }
        self.finish("CarePlan");
    }

    pub(super) fn medication_administration(&mut self, record: &Record, index: u32) {
        let given = &record.administrations[index as usize];
        let id = record.patient.id("MedicationAdministration", u64::from(index));
        self.begin_plain("MedicationAdministration", id);
        self.status("completed");
        if let Some(encounter) = given.encounter {
            let is_stay = class_code(record.encounters[encounter as usize].class).0 == "IMP";
            let (code, display) = if is_stay { ("inpatient", "Inpatient") } else { ("outpatient", "Outpatient") };
            self.fixed("category", "http://terminology.hl7.org/CodeSystem/medication-admin-category", code, display);
        }
        self.code("medicationCodeableConcept", given.codes);
        self.subject("subject", record);
        if let Some(encounter) = given.encounter {
            self.json.reference("context", "Encounter", record.patient.id("Encounter", u64::from(encounter)));
        }
        self.moment("effectiveDateTime", record, given.time);
        self.performer(record, given.encounter);
        self.about("reasonReference", record, given.reason);
        if let Some(dose) = given.dose {
            self.json.object("dosage");
            self.json.object("dose");
            self.quantity(dose, None);
            self.json.end();
        }
        self.finish("MedicationAdministration");
    }
}

/// A text as it stands in XHTML.
fn xhtml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
