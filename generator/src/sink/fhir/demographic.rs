//! Patient, Practitioner, Organization, Location.

use model::fhir::Precision;

use super::FhirSink;
use super::dirty::{REPLACED, write_part};
use crate::dirt::Blemish;
use crate::record::Record;

const CDC_RACE: &str = "urn:oid:2.16.840.1.113883.6.238";
const US_CORE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/";

impl FhirSink<'_> {
    pub(super) fn patient(&mut self, record: &Record) {
        let is_merged = self.blemish == Blemish::MergedPatient;
        self.patient_record(record, is_merged.then_some(false));
        if is_merged {
            self.patient_record(record, Some(true));
        }
    }

    /// One record of the patient; where there are two, whether it is the one that was replaced.
    pub(super) fn patient_record(&mut self, record: &Record, is_replaced: Option<bool>) {
        let world = self.world;
        let patient = &record.patient;
        let number = if is_replaced == Some(true) { REPLACED } else { patient.number };
        self.begin("Patient", patient.id("Patient", number), "us-core-patient");
        self.json.array("extension");
        self.race(record);
        self.ethnicity(patient.hispanic);
        self.json.item();
        self.extension_url("us-core-birthsex");
        self.json.text("valueCode", if patient.female { "F" } else { "M" });
        self.json.end();
        self.json.end_array();
        self.json.array("identifier");
        self.identifier("MR", "Medical record number", "urn:synthetic-healthlake:mrn", &patient.mrn);
        self.identifier("SS", "Social Security number", "http://hl7.org/fhir/sid/us-ssn", &patient.ssn);
        self.json.end_array();
        if let Some(is_replaced) = is_replaced {
            self.link(record, is_replaced);
        }
        self.names(record);
        self.telecom(&patient.phone, "home");
        self.json.text("gender", if patient.female { "female" } else { "male" });
        let birth = patient.birth;
        // Of a patient only the birth may be known in part.
        let precision = match std::mem::take(&mut self.blemish) {
            Blemish::PartialDate(precision) => precision,
            _ => Precision::Day,
        };
        self.json.plain("birthDate", |out| write_part(birth, precision, out));
        if let Some(death) = patient.death {
            self.moment("deceasedDateTime", record, death);
        }
        self.json.array("address");
        self.json.item();
        self.json.text("use", "home");
        self.address(&patient.street, patient.town);
        self.json.end_array();
        let (status, display) = match patient.marital_status {
            "M" => ("M", "Married"),
            "D" => ("D", "Divorced"),
            "W" => ("W", "Widowed"),
            _ => ("S", "Never Married"),
        };
        self.fixed("maritalStatus", "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", status, display);
        let language = &world.population.languages[patient.language];
        self.json.array("communication");
        self.json.item();
        self.fixed("language", "urn:ietf:bcp:47", &language.code, &language.display);
        self.json.flag("preferred", true);
        self.json.end();
        self.json.end_array();
        self.json.array("generalPractitioner");
        self.json.reference_item("Practitioner", world.facilities.id("Practitioner", patient.practitioner));
        self.json.end_array();
        let clinic = world.facilities.id("Organization", patient.town * 2);
        self.json.reference("managingOrganization", "Organization", clinic);
        self.finish("Patient");
    }

    fn extension_url(&mut self, name: &str) {
        self.json.plain("url", |out| {
            out.extend_from_slice(US_CORE.as_bytes());
            out.extend_from_slice(name.as_bytes());
        });
    }

    fn race(&mut self, record: &Record) {
        let world = self.world;
        self.json.item();
        self.extension_url("us-core-race");
        self.json.array("extension");
        let mut text = String::new();
        for row in &record.patient.races {
            let race = &world.population.races[*row];
            self.cdc_code("ombCategory", &race.code, &race.display);
            if !text.is_empty() {
                text.push_str(", ");
            }
            text.push_str(&race.display);
        }
        self.plain_text(&text);
        self.json.end_array();
        self.json.end();
    }

    fn ethnicity(&mut self, hispanic: bool) {
        let (code, display) =
            if hispanic { ("2135-2", "Hispanic or Latino") } else { ("2186-5", "Not Hispanic or Latino") };
        self.json.item();
        self.extension_url("us-core-ethnicity");
        self.json.array("extension");
        self.cdc_code("ombCategory", code, display);
        self.plain_text(display);
        self.json.end_array();
        self.json.end();
    }

    fn cdc_code(&mut self, url: &str, code: &str, display: &str) {
        self.json.item();
        self.json.text("url", url);
        self.json.object("valueCoding");
        self.json.text("system", CDC_RACE);
        self.json.text("code", code);
        self.json.text("display", display);
        self.json.end();
        self.json.end();
    }

    fn plain_text(&mut self, text: &str) {
        self.json.item();
        self.json.text("url", "text");
        self.json.text("valueString", text);
        self.json.end();
    }

    fn identifier(&mut self, code: &str, display: &str, system: &str, value: &str) {
        self.json.item();
        self.fixed("type", "http://terminology.hl7.org/CodeSystem/v2-0203", code, display);
        self.json.text("system", system);
        self.json.text("value", value);
        self.json.end();
    }

    pub(super) fn name(&mut self, family: &str, given: &[&String]) {
        self.json.array("name");
        self.name_item("official", family, given);
        self.json.end_array();
    }

    pub(super) fn name_item(&mut self, used: &str, family: &str, given: &[&String]) {
        self.json.item();
        self.json.text("use", used);
        self.json.text("family", family);
        self.json.array("given");
        given.iter().for_each(|name| self.json.text_item(name));
        self.json.end_array();
        self.json.end();
    }

    fn telecom(&mut self, phone: &str, used: &str) {
        self.json.array("telecom");
        self.json.item();
        self.json.text("system", "phone");
        self.json.text("value", phone);
        self.json.text("use", used);
        self.json.end();
        self.json.end_array();
    }

    /// The fields of an address, and the end of its object.
    fn address(&mut self, street: &str, town: usize) {
        let town = &self.world.population.towns[town];
        self.json.array("line");
        self.json.text_item(street);
        self.json.end_array();
        self.json.text("city", &town.city);
        self.json.text("district", &town.county);
        self.json.text("state", &town.state);
        self.json.text("postalCode", &town.zip);
        self.json.text("country", "US");
        self.json.end();
    }

    pub(super) fn practitioner(&mut self, index: usize) {
        let world = self.world;
        let practitioner = &world.facilities.practitioners[index];
        self.begin("Practitioner", world.facilities.id("Practitioner", index), "us-core-practitioner");
        self.json.array("identifier");
        self.json.item();
        self.json.text("system", "http://hl7.org/fhir/sid/us-npi");
        self.json.text("value", &practitioner.npi);
        self.json.end();
        self.json.end_array();
        self.json.flag("active", true);
        self.name(&practitioner.family, &[&practitioner.given]);
        self.json.text("gender", if practitioner.female { "female" } else { "male" });
        self.finish("Practitioner");
    }

    pub(super) fn organization(&mut self, index: usize) {
        let world = self.world;
        let organization = &world.facilities.organizations[index];
        self.begin("Organization", world.facilities.id("Organization", index), "us-core-organization");
        self.json.flag("active", true);
        self.json.array("type");
        self.fixed_item("http://terminology.hl7.org/CodeSystem/organization-type", "prov", "Healthcare Provider");
        self.json.end_array();
        self.json.text("name", &organization.name);
        self.telecom(&organization.phone, "work");
        self.json.array("address");
        self.json.item();
        self.address(&organization.street, organization.town);
        self.json.end_array();
        self.finish("Organization");
    }

    pub(super) fn location(&mut self, index: usize) {
        let world = self.world;
        let organization = &world.facilities.organizations[index];
        self.begin("Location", world.facilities.id("Location", index), "us-core-location");
        self.json.text("status", "active");
        self.json.text("name", &organization.name);
        self.json.text("mode", "instance");
        self.telecom(&organization.phone, "work");
        self.json.object("address");
        self.address(&organization.street, organization.town);
        let managing = world.facilities.id("Organization", index);
        self.json.reference("managingOrganization", "Organization", managing);
        self.finish("Location");
    }
}
