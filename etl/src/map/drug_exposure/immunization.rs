//! Immunization to `drug_exposure`; a mere report of one becomes an observation.

use model::fhir::{CodeableConcept, Immunization};
use model::vocabulary::{rule, value};

use super::{set_route, unit_text};
use crate::map::Judgement;
use crate::map::draft::Draft;
use crate::map::event::Event;
use crate::vocabulary::{Domain, Priority};

/// Maps an Immunization.
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

#[cfg(test)]
mod tests {
    use crate::map::sample::{assert_says, judgement, rows};

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
