//! MedicationRequest and Immunization to `drug_exposure`.

use std::borrow::Cow;

use model::fhir::{CodeableConcept, Immunization, MedicationRequest, Quantity};
use model::omop::{DrugExposure, NO_MATCHING_CONCEPT};
use model::vocabulary::{rule, value};

use super::draft::{Draft, literal};
use super::event::{DrugPart, Event};
use super::{Judgement, MedicationRequestPolicy};
use crate::vocabulary::{Domain, Priority, Resolution};

const STOP_REASON: usize = 20;

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
    let code = medication(draft, &request)?;
    let type_concept_id = if start.is_partial() { rule::TYPE_EHR } else { rule::TYPE_EHR_PRESCRIPTION };

    let mut event = Event::new(Domain::Drug, person_id, start, type_concept_id, &code);
    event.visit = visit;
    event.provider_id = draft.provider("MedicationRequest.requester", &request.requester);
    let dispense = request.dispense_request.as_ref();
    let duration = dispense.and_then(|dispense| dispense.expected_supply_duration.as_ref());
    event.drug.days_supply = duration.and_then(|duration| days(draft, duration));
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
    if let Some(reason) = &request.status_reason {
        event.drug.stop_reason = reason
            .coding
            .iter()
            .find_map(|coding| coding.code.as_ref())
            .map(|code| draft.cut("MedicationRequest.statusReason", code.to_cow(), STOP_REASON));
    }
    let mut dosages = request.dosage_instruction.iter();
    if let Some(dosage) = dosages.next() {
        event.drug.sig = dosage.text.as_ref().map(|text| text.to_cow());
        if let Some(route) = &dosage.route {
            set_route(draft, "MedicationRequest.dosageInstruction.route", &mut event.drug, route);
        }
        let dose = dosage.dose_and_rate.iter().find_map(|dose| dose.dose_quantity.as_ref());
        event.drug.dose_unit_source_value = dose.and_then(|dose| unit_text(draft, dose));
    }
    if dosages.next().is_some() {
        draft.lose("MedicationRequest.dosageInstruction", "first_of_many");
    }
    draft.emit("MedicationRequest.medication[x]", &event, &code);
    if draft.has_rows() { Ok(()) } else { Err(Judgement::excluded("domain_visit", "MedicationRequest.medication[x]")) }
}

/// Maps an Immunization; a mere report of one becomes an observation.
pub fn from_immunization(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let immunization: Immunization<'_> = draft.read()?;
    draft.gate_modifiers(&immunization.modifier_extension, immunization.implicit_rules.as_ref())?;
    draft.gate_status("Immunization.status", immunization.status.as_deref(), &["completed"])?;
    let person_id = draft.person("Immunization.patient", immunization.patient.as_ref())?;
    let Some(start) = immunization.occurrence_date_time.or(immunization.recorded) else {
        return Err(Judgement::missing("Immunization.occurrence[x]", "expected an occurrence date or a recorded date"));
    };
    draft.note_precision("Immunization.occurrence[x]", &start);
    if immunization.occurrence_date_time.is_none() {
        draft.lose("Immunization.occurrence[x]", "date_from_recorded");
    }
    let visit = draft.visit("Immunization.encounter", immunization.encounter.as_ref());
    let code = draft.resolve("Immunization.vaccineCode", &immunization.vaccine_code, Priority::Vaccine);
    let origin = immunization.report_origin.as_ref().and_then(CodeableConcept::first_code);
    let known = origin.and_then(|code| value("immunization_origin", code)).filter(|_| !start.is_partial());

    let mut event = Event::new(Domain::Drug, person_id, start, known.unwrap_or(rule::TYPE_EHR), &code);
    event.visit = visit;
    let actors = immunization.performer.iter().filter_map(|performer| performer.actor.as_ref());
    event.provider_id = draft.provider("Immunization.performer.actor", actors);
    let has_detail = origin.is_some()
        || immunization.lot_number.is_some()
        || immunization.dose_quantity.is_some()
        || !immunization.performer.is_empty();
    if immunization.occurrence_date_time.is_none() || (immunization.primary_source == Some(false) && !has_detail) {
        event.default = Domain::Observation;
        event.is_fixed = true;
    }
    event.drug.lot_number = draft.source_value("Immunization.lotNumber", immunization.lot_number.as_ref());
    if let Some(dose) = &immunization.dose_quantity {
        event.drug.quantity = dose.value.as_ref().map(|value| value.number());
        event.drug.dose_unit_source_value = unit_text(draft, dose);
    }
    if let Some(route) = &immunization.route {
        set_route(draft, "Immunization.route", &mut event.drug, route);
    }
    draft.emit("Immunization.vaccineCode", &event, &code);
    if draft.has_rows() { Ok(()) } else { Err(Judgement::excluded("domain_visit", "Immunization.vaccineCode")) }
}

/// The row of an event. Without an end the exposure ends when it starts.
pub fn row<'d>(key: i64, concept_id: i32, event: &Event<'d>) -> DrugExposure<'d> {
    let end = event.end.unwrap_or(event.start);
    DrugExposure {
        drug_exposure_id: key,
        person_id: event.person_id,
        drug_concept_id: concept_id,
        drug_exposure_start_date: event.start.date,
        drug_exposure_start_datetime: event.start.utc(),
        drug_exposure_end_date: end.date,
        drug_exposure_end_datetime: end.utc(),
        verbatim_end_date: None,
        drug_type_concept_id: event.type_concept_id,
        stop_reason: event.drug.stop_reason.clone(),
        refills: event.drug.refills,
        quantity: event.drug.quantity,
        days_supply: event.drug.days_supply,
        sig: event.drug.sig.clone(),
        route_concept_id: event.drug.route_concept_id,
        lot_number: event.drug.lot_number.clone(),
        provider_id: event.provider_id,
        visit_occurrence_id: event.visit.visit_occurrence_id,
        visit_detail_id: event.visit.visit_detail_id,
        drug_source_value: event.source_value.clone(),
        drug_source_concept_id: event.source_concept_id,
        route_source_value: event.drug.route_source_value.clone(),
        dose_unit_source_value: event.drug.dose_unit_source_value.clone(),
    }
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

/// The drug's code: told here, in a contained Medication, or in a Medication of its own.
fn medication<'d>(draft: &mut Draft<'d, '_>, request: &MedicationRequest<'d>) -> Result<Resolution<'d>, Judgement> {
    const ELEMENT: &str = "MedicationRequest.medication[x]";
    if let Some(concept) = &request.medication_codeable_concept {
        return Ok(draft.resolve(ELEMENT, concept, Priority::Drug));
    }
    let Some(target) = request.medication_reference.as_ref().and_then(literal) else {
        return Err(Judgement::missing(ELEMENT, "expected a code or a reference to a Medication"));
    };
    if let Some(id) = target.strip_prefix('#') {
        let found = request.contained.iter().find(|contained| contained.id.as_deref() == Some(id));
        if let Some(concept) = found.and_then(|contained| contained.code.as_ref()) {
            return Ok(draft.resolve(ELEMENT, concept, Priority::Drug));
        }
    } else if let Some(json) = draft.context.references.medication_code(&target) {
        let concept: CodeableConcept<'_> = model::fhir::parse("Medication.code", json.as_bytes())
            .map_err(|error| Judgement::rejected(error.path, "wrong_type", error.message))?;
        let resolved = draft.context.vocabulary.resolve(&concept, Priority::Drug).into_owned();
        return Ok(draft.cover(ELEMENT, resolved));
    }
    draft.lose(ELEMENT, "unresolved_reference");
    Ok(draft.cover(ELEMENT, Resolution::default()))
}

fn set_route<'d>(
    draft: &mut Draft<'d, '_>,
    element: &'static str,
    drug: &mut DrugPart<'d>,
    route: &CodeableConcept<'d>,
) {
    if route.coding.is_empty() {
        return;
    }
    let known = route
        .coding
        .iter()
        .filter_map(|coding| coding.code.as_ref())
        .find_map(|code| value("route", code).map(|concept_id| (concept_id, code)));
    if let Some((concept_id, code)) = known {
        drug.route_concept_id = Some(concept_id);
        drug.route_source_value = draft.source_value(element, Some(code));
        return;
    }
    let resolved = draft.resolve(element, route, Priority::Clinical);
    let target = resolved.targets.iter().find(|target| target.domain == Domain::Route);
    drug.route_concept_id = Some(target.map_or(NO_MATCHING_CONCEPT, |target| target.concept_id));
    drug.route_source_value = resolved.source_value;
}

fn unit_text<'d>(draft: &mut Draft<'d, '_>, quantity: &Quantity<'d>) -> Option<Cow<'d, str>> {
    draft.source_value("Quantity.code", quantity.code.as_ref().or(quantity.unit.as_ref()))
}

/// A duration in whole days, at least one.
fn days(draft: &mut Draft<'_, '_>, duration: &Quantity<'_>) -> Option<i32> {
    let number = duration.value.as_ref()?.number();
    let unit = duration.code.as_deref().or(duration.unit.as_deref()).unwrap_or("d");
    let factor = match unit {
        "min" => 1.0 / 1440.0,
        "h" | "hour" | "hours" => 1.0 / 24.0,
        "d" | "day" | "days" => 1.0,
        "wk" | "week" | "weeks" => 7.0,
        "mo" | "month" | "months" => 30.0,
        "a" | "year" | "years" => 365.0,
        _ => {
            draft.lose("MedicationRequest.dispenseRequest.expectedSupplyDuration", "unknown_unit");
            return None;
        }
    };
    let days = (number * factor).ceil();
    if (0.0..=36_500.0).contains(&days) {
        return Some(days as i32);
    }
    draft.lose("MedicationRequest.dispenseRequest.expectedSupplyDuration", "out_of_range");
    None
}

#[cfg(test)]
mod tests {
    use super::super::MedicationRequestPolicy;
    use super::super::sample::{Setting, assert_says, judgement, judgement_with, losses, rows};

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

    fn immunization(rest: &str) -> String {
        format!(
            r#"{{"resourceType":"Immunization","id":"i","status":"completed","patient":{{"reference":"Patient/p"}},"vaccineCode":{{"coding":[{{"system":"http://hl7.org/fhir/sid/cvx","code":"08"}}]}}{rest}}}"#
        )
    }

    #[test]
    fn a_vaccine_is_a_drug_given_on_one_day() {
        let json = immunization(
            r#","occurrenceDateTime":"2024-01-02","primarySource":true,"lotNumber":"L-1","doseQuantity":{"value":0.5,"code":"mL"},"route":{"coding":[{"code":"IM"}]}"#,
        );
        assert_says(
            &rows(&json, "drug_exposure")[0],
            &[
                "drug_concept_id: 40213304, drug_exposure_start_date: 2024-01-02, drug_exposure_start_datetime: None, drug_exposure_end_date: 2024-01-02",
                "drug_type_concept_id: 32817",
                r#"quantity: Some(0.5)"#,
                r#"route_concept_id: Some(4302612), lot_number: Some("L-1")"#,
                r#"drug_source_value: Some("08")"#,
                r#"route_source_value: Some("IM"), dose_unit_source_value: Some("mL")"#,
            ],
        );
        for (origin, concept) in
            [("recall", 32865), ("provider", 32818), ("record", 32848), ("school", 32848), ("x", 32817)]
        {
            let json = immunization(&format!(
                r#","occurrenceDateTime":"2024-01-02","primarySource":false,"reportOrigin":{{"coding":[{{"code":"{origin}"}}]}}"#
            ));
            assert_says(&rows(&json, "drug_exposure")[0], &[&format!("drug_type_concept_id: {concept},")]);
        }
    }

    #[test]
    fn a_mere_report_of_a_vaccine_is_an_observation() {
        for rest in [
            r#","occurrenceString":"as a child","recorded":"2024-01-02""#,
            r#","occurrenceDateTime":"2024-01-02","primarySource":false"#,
        ] {
            assert!(rows(&immunization(rest), "drug_exposure").is_empty());
            assert_says(
                &rows(&immunization(rest), "observation")[0],
                &["observation_concept_id: 40213304, observation_date: 2024-01-02"],
            );
        }
        assert_eq!(
            judgement(&immunization(r#","occurrenceString":"once""#)),
            "rejected: missing_element (Immunization.occurrence[x])"
        );
        let not_done = immunization(r#","occurrenceDateTime":"2024-01-02""#).replace("completed", "not-done");
        assert_eq!(judgement(&not_done), "excluded: status_not_done (not-done)");
    }
}
