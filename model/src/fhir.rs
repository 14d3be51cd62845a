//! FHIR R4 resources as the mapping reads them: typed, borrowed from the text, unknown elements ignored.
//!
//! The text itself is kept elsewhere, so nothing is lost here. A wrong type or an impossible date is an error that
//! names the element. Choice elements (`value[x]`) are one field per type, as in the JSON.

mod allergy_intolerance;
mod claim;
mod condition;
mod coverage;
mod datatype;
mod date_time;
mod device;
mod diagnostic_report;
mod document;
mod element_error;
mod encounter;
mod family_member_history;
mod immunization;
mod location;
mod medication_administration;
mod medication_dispense;
mod medication_request;
mod medication_statement;
mod observation;
mod organization;
mod patient;
mod practitioner;
mod primitive;
mod procedure;
mod questionnaire_response;
mod specimen;

pub use allergy_intolerance::{AllergyIntolerance, Reaction};
pub use claim::{Adjudication, Claim, ClaimInsurance, ClaimItem, ExplanationOfBenefit, Money, Payment};
pub use condition::Condition;
pub use coverage::{Coverage, CoverageClass};
pub use datatype::{
    Address, CodeableConcept, Coding, Dosage, DoseAndRate, Extension, Identifier, Meta, Period, Quantity, Range, Ratio,
    Reference, Timing,
};
pub use date_time::{Date, DateTime, Precision};
pub use device::{Device, DeviceUseStatement, UdiCarrier};
pub use diagnostic_report::DiagnosticReport;
pub use document::{Attachment, Composition, DocumentContent, DocumentContext, DocumentReference, Narrative, Section};
pub use element_error::ElementError;
pub use encounter::{Encounter, EncounterLocation, Hospitalization, Participant};
pub use family_member_history::{FamilyCondition, FamilyMemberHistory};
pub use immunization::Immunization;
pub use location::Location;
pub use medication_administration::{AdministeredDosage, MedicationAdministration};
pub use medication_dispense::MedicationDispense;
pub use medication_request::{DispenseRequest, MedicationRequest};
pub use medication_statement::MedicationStatement;
pub use observation::{Component, Observation, ReferenceRange, Value};
pub use organization::Organization;
pub use patient::{Patient, PatientLink};
pub use practitioner::{Practitioner, PractitionerRole, Qualification};
pub use primitive::{Decimal, Str};
pub use procedure::{FocalDevice, Procedure, ProcedurePerformer};
pub use questionnaire_response::{Answer, QuestionnaireResponse, ResponseItem};
pub use specimen::{Collection, Specimen};

use serde::Deserialize;

/// Reads one resource of the given type from its JSON text.
///
/// The error names the element: `Observation.valueQuantity.value: expected a number, found a string`. The text is read
/// a second time for that, so only bad records pay for it.
pub fn parse<'a, T: Deserialize<'a>>(resource_type: &str, json: &'a [u8]) -> Result<T, ElementError> {
    if let Ok(resource) = sonic_rs::from_slice(json) {
        return Ok(resource);
    }
    let mut deserializer = sonic_rs::Deserializer::from_slice(json);
    match serde_path_to_error::deserialize(&mut deserializer) {
        Ok(_) if std::str::from_utf8(json).is_err() => Err(ElementError::new(resource_type, "expected valid UTF-8")),
        Ok::<T, _>(_) => Err(ElementError::new(resource_type, "expected one JSON object and nothing behind it")),
        Err(error) => Err(ElementError::translate(resource_type, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str) -> String {
        parse::<Observation>("Observation", json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_type_names_its_element() {
        assert_eq!(
            error(r#"{"valueQuantity":{"value":"12 secret"}}"#),
            "Observation.valueQuantity.value: expected a number, found a string"
        );
        assert_eq!(
            error(r#"{"component":[{"code":{}},{"valueString":7}]}"#),
            "Observation.component[1].valueString: expected a string, found a number"
        );
        assert_eq!(error(r#"{"code":"secret"}"#), "Observation.code: expected an object, found a string");
        assert_eq!(error(r#"{"category":{"coding":[]}}"#), "Observation.category: expected an array, found an object");
        assert_eq!(
            error(r#"{"valueBoolean":"true"}"#),
            "Observation.valueBoolean: expected true or false, found a string"
        );
        assert_eq!(
            error(r#"{"status":null,"valueInteger":1.5}"#),
            "Observation.valueInteger: expected a whole number, found a decimal number"
        );
    }

    #[test]
    fn a_bad_date_names_its_element() {
        assert_eq!(
            error(r#"{"effectiveDateTime":"2024-02-30"}"#),
            "Observation.effectiveDateTime: expected a day that exists in the calendar"
        );
    }

    #[test]
    fn broken_text_is_told_without_its_content() {
        for json in
            [r#"{"status":"#, r#"{"status":"secret" "#, r#"{"status":"a","status":"secret"}"#, "[]x", "", "{} {}"]
        {
            let message = error(json);
            assert!(message.starts_with("Observation"), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
        assert!(error(r#"{"status":"a","status":"secret"}"#).contains("`status` appears twice"));
    }

    #[test]
    fn text_is_borrowed_and_escapes_are_read() {
        let json = r#"{"id":"a","valueString":"x\ny","code":{"coding":[{"system":"http://loinc.org","code":"1-8"}]}}"#;
        let observation: Observation = parse("Observation", json.as_bytes()).unwrap();
        assert!(observation.id.as_ref().unwrap().is_borrowed());
        assert_eq!(observation.value_string.as_deref(), Some("x\ny"));
        assert_eq!(observation.code.coding[0].code.as_deref(), Some("1-8"));
    }

    #[test]
    fn decimals_keep_their_digits() {
        let json = br#"{"valueQuantity":{"value":1.50,"code":"mg"},"component":[{"valueQuantity":{"value":-1e3}}]}"#;
        let observation: Observation = parse("Observation", json).unwrap();
        let value = observation.value_quantity.unwrap().value.unwrap();
        assert_eq!((value.literal(), value.number()), ("1.50", 1.5));
        let value = observation.component[0].value_quantity.as_ref().unwrap().value.as_ref().unwrap();
        assert_eq!((value.literal(), value.number()), ("-1e3", -1000.0));
    }
}
