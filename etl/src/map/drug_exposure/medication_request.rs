//! MedicationRequest to `drug_exposure`, as far as the policy counts orders as exposures.

use model::fhir::MedicationRequest;
use model::vocabulary::rule;

use super::{days, medication, set_dosage, stop_reason};
use crate::map::draft::Draft;
use crate::map::event::Event;
use crate::map::{Judgement, MedicationRequestPolicy};
use crate::vocabulary::Domain;

const MEDICATION: &str = "MedicationRequest.medication[x]";
const DURATION: &str = "MedicationRequest.dispenseRequest.expectedSupplyDuration";

/// Maps a MedicationRequest, as far as the policy counts it as an exposure.
pub fn from_medication_request(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let request: MedicationRequest<'_> = draft.read()?;
    draft.gate_modifiers(&request.modifier_extension, request.implicit_rules.as_ref())?;
    gate_request(draft, &request)?;
    let person_id = draft.person("MedicationRequest.subject", request.subject.as_ref())?;
    let Some(start) = request.authored_on else {
        return Err(Judgement::missing("MedicationRequest.authoredOn", "expected the date of the order"));
    };
    draft.note_precision("MedicationRequest.authoredOn", &start);
    let visit = draft.visit("MedicationRequest.encounter", request.encounter.as_ref());
    let (code, reference) = (request.medication_codeable_concept.as_ref(), request.medication_reference.as_ref());
    let code = medication::resolve(draft, MEDICATION, code, reference)?;
    let type_concept_id = if start.is_partial() { rule::TYPE_EHR } else { rule::TYPE_EHR_PRESCRIPTION };

    let mut event = Event::new(Domain::Drug, person_id, start, type_concept_id, &code);
    event.visit = visit;
    event.provider_id = draft.provider("MedicationRequest.requester", &request.requester);
    let dispense = request.dispense_request.as_ref();
    let duration = dispense.and_then(|dispense| dispense.expected_supply_duration.as_ref());
    event.drug.days_supply = duration.and_then(|duration| days(draft, DURATION, duration));
    let valid_until = dispense.and_then(|dispense| dispense.validity_period.as_ref()).and_then(|period| period.end);
    event.set_end(draft, "MedicationRequest.dispenseRequest.validityPeriod.end", valid_until);
    if let (None, Some(days)) = (event.end, event.drug.days_supply) {
        event.end = start.plus_days(days.unsigned_abs());
    }
    event.drug.refills = dispense
        .and_then(|dispense| dispense.number_of_repeats_allowed)
        .and_then(|repeats| i32::try_from(repeats).ok());
    event.drug.quantity =
        dispense.and_then(|dispense| dispense.quantity.as_ref()?.value.as_ref()).map(|value| value.number());
    event.drug.stop_reason = stop_reason(draft, "MedicationRequest.statusReason", &request.status_reason);
    let elements = ["MedicationRequest.dosageInstruction", "MedicationRequest.dosageInstruction.route"];
    set_dosage(draft, elements, &mut event.drug, &request.dosage_instruction);
    draft.emit(MEDICATION, &event, &code);
    if draft.has_rows() { Ok(()) } else { Err(Judgement::excluded("domain_visit", MEDICATION)) }
}

fn gate_request(draft: &Draft<'_, '_>, request: &MedicationRequest<'_>) -> Result<(), Judgement> {
    if request.status.as_deref() == Some("entered-in-error") {
        return Err(Judgement::excluded("status_entered_in_error", "entered-in-error"));
    }
    if request.do_not_perform == Some(true) {
        return Err(Judgement::excluded("do_not_perform", "true"));
    }
    let intent = request.intent.as_deref();
    match draft.context.medication_request_policy {
        MedicationRequestPolicy::OrdersAsExposure => {
            let orders = ["order", "original-order", "reflex-order", "filler-order", "instance-order"];
            draft.gate_status("MedicationRequest.intent", intent, &orders)?;
            draft.gate_status("MedicationRequest.status", request.status.as_deref(), &["active", "completed"])
        }
        MedicationRequestPolicy::IgStrict => draft.gate_status("MedicationRequest.intent", intent, &["instance-order"]),
    }
}

#[cfg(test)]
mod tests {
    use crate::map::MedicationRequestPolicy;
    use crate::map::sample::{Setting, assert_says, judgement, judgement_with, losses, rows};

    fn request(intent: &str, status: &str, rest: &str) -> String {
        format!(
            r#"{{"resourceType":"MedicationRequest","id":"m","status":"{status}","intent":"{intent}","subject":{{"reference":"Patient/p"}},"authoredOn":"2024-01-30T10:00:00Z"{rest}}}"#
        )
    }

    const PENICILLIN: &str = r#","medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"7980"}]}"#;

    #[test]
    fn an_order_is_an_exposure_with_its_supply() {
        let json = request(
            "order",
            "active",
            &format!(
                r#"{PENICILLIN},"statusReason":{{"coding":[{{"code":"a-reason-longer-than-the-column"}}]}},"dosageInstruction":[{{"text":"one a day","route":{{"coding":[{{"system":"http://snomed.info/sct","code":"26643006"}}]}},"doseAndRate":[{{"doseQuantity":{{"value":1,"unit":"tablet"}}}}]}}],"dispenseRequest":{{"numberOfRepeatsAllowed":2,"quantity":{{"value":60}},"expectedSupplyDuration":{{"value":30,"code":"d"}}}}"#
            ),
        );
        assert_says(
            &rows(&json, "drug_exposure")[0],
            &[
                "drug_concept_id: 1728416, drug_exposure_start_date: 2024-01-30, drug_exposure_start_datetime: Some(2024-01-30T10:00:00), drug_exposure_end_date: 2024-02-29, drug_exposure_end_datetime: Some(2024-02-29T10:00:00), verbatim_end_date: None, drug_type_concept_id: 32838",
                r#"stop_reason: Some("a-reason-longer-than"), refills: Some(2), quantity: Some(60.0), days_supply: Some(30), sig: Some("one a day"), route_concept_id: Some(4132161)"#,
                r#"drug_source_value: Some("7980"), drug_source_concept_id: Some(1728416), route_source_value: Some("26643006"), dose_unit_source_value: Some("tablet")"#,
            ],
        );
        assert!(losses(&json).contains(&"MedicationRequest.statusReason truncated".to_owned()));
        let plain = request("order", "completed", PENICILLIN);
        assert_says(
            &rows(&plain, "drug_exposure")[0],
            &["drug_exposure_end_date: 2024-01-30, drug_exposure_end_datetime: Some(2024-01-30T10:00:00)"],
        );
        let until = request(
            "order",
            "active",
            &format!(
                r#"{PENICILLIN},"dispenseRequest":{{"validityPeriod":{{"end":"2024-05-01"}},"expectedSupplyDuration":{{"value":2,"code":"wk"}}}}"#
            ),
        );
        assert_says(
            &rows(&until, "drug_exposure")[0],
            &["drug_exposure_end_date: 2024-05-01, drug_exposure_end_datetime: None", "days_supply: Some(14)"],
        );
    }

    #[test]
    fn the_policy_decides_which_orders_count() {
        let strict = Setting { policy: MedicationRequestPolicy::IgStrict, ..Setting::default() };
        for intent in ["order", "original-order", "reflex-order", "filler-order", "instance-order"] {
            let json = request(intent, "active", PENICILLIN);
            assert_eq!(judgement(&json), "mapped", "{intent}");
            let expected = if intent == "instance-order" {
                "mapped".into()
            } else {
                format!("excluded: intent_{} ({intent})", intent.replace('-', "_"))
            };
            assert_eq!(judgement_with(&json, &strict), expected);
        }
        for intent in ["proposal", "plan", "option"] {
            let expected = format!("excluded: intent_{intent} ({intent})");
            assert_eq!(judgement(&request(intent, "active", PENICILLIN)), expected);
            assert_eq!(judgement_with(&request(intent, "active", PENICILLIN), &strict), expected);
        }
        for status in ["on-hold", "cancelled", "stopped", "draft", "unknown"] {
            assert_eq!(
                judgement(&request("order", status, PENICILLIN)),
                format!("excluded: status_{} ({status})", status.replace('-', "_"))
            );
            assert_eq!(judgement_with(&request("instance-order", status, PENICILLIN), &strict), "mapped", "{status}");
        }
        let wrong = request("instance-order", "entered-in-error", PENICILLIN);
        assert_eq!(judgement_with(&wrong, &strict), "excluded: status_entered_in_error (entered-in-error)");
        let never = request("order", "active", &format!(r#"{PENICILLIN},"doNotPerform":true"#));
        assert_eq!(judgement(&never), "excluded: do_not_perform (true)");
    }

    #[test]
    fn a_contained_medication_tells_the_drug() {
        let json = request(
            "order",
            "active",
            r##","contained":[{"resourceType":"Practitioner","id":"x","code":"not a concept"},{"resourceType":"Medication","id":"med","code":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"7980"}]}}],"medicationReference":{"reference":"#med"}"##,
        );
        assert_says(&rows(&json, "drug_exposure")[0], &["drug_concept_id: 1728416"]);
        let lost = json.replace("#med", "#other");
        assert_says(&rows(&lost, "drug_exposure")[0], &["drug_concept_id: 0,", "drug_source_value: None"]);
        assert_eq!(losses(&lost), ["MedicationRequest.medication[x] unresolved_reference"]);
        assert_eq!(
            judgement(&request("order", "active", "")),
            "rejected: missing_element (MedicationRequest.medication[x])"
        );
    }
}
