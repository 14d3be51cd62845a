//! Procedure to `procedure_occurrence`.

use model::fhir::Procedure;
use model::omop::ProcedureOccurrence;
use model::vocabulary::rule;

use super::draft::{Draft, names_type};
use super::event::Event;
use super::{Judgement, device_exposure};
use crate::vocabulary::{Domain, Priority};

/// Maps a Procedure.
pub fn from_procedure(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let procedure: Procedure<'_> = draft.read()?;
    draft.gate_modifiers(&procedure.modifier_extension, procedure.implicit_rules.as_ref())?;
    draft.gate_status("Procedure.status", procedure.status.as_deref(), &["completed"])?;
    let person_id = draft.person("Procedure.subject", procedure.subject.as_ref())?;
    let period = procedure.performed_period.as_ref();
    let Some(start) = procedure.performed_date_time.or(period.and_then(|period| period.start)) else {
        return Err(Judgement::missing("Procedure.performed[x]", "expected a date or a period with a start"));
    };
    draft.note_precision("Procedure.performed[x]", &start);
    let visit = draft.visit("Procedure.encounter", procedure.encounter.as_ref());
    let code = draft.resolve("Procedure.code", &procedure.code, Priority::Clinical);
    let type_concept_id = if procedure.encounter.is_some() && !start.is_partial() {
        rule::TYPE_EHR_ENCOUNTER_RECORD
    } else {
        rule::TYPE_EHR
    };

    let mut event = Event::new(Domain::Procedure, person_id, start, type_concept_id, &code);
    event.visit = visit;
    event.set_end(draft, "Procedure.performedPeriod.end", period.and_then(|period| period.end));
    let actors = procedure.performer.iter().filter_map(|performer| performer.actor.as_ref());
    event.provider_id = draft.provider("Procedure.performer.actor", actors);
    let mut sites = procedure.body_site.iter().filter(|site| !site.coding.is_empty());
    if let Some(site) = sites.next() {
        let resolved = draft.resolve("Procedure.bodySite", site, Priority::Clinical);
        event.modifier_concept_id = Some(resolved.concept_id());
        event.modifier_source_value = resolved.source_value;
    }
    if sites.next().is_some() {
        draft.lose("Procedure.bodySite", "first_of_many");
    }
    draft.emit("Procedure.code", &event, &code);
    let manipulated: Vec<_> = procedure.focal_device.iter().filter_map(|device| device.manipulated.as_ref()).collect();
    let used = procedure.used_reference.iter().filter(|used| names_type(used, &["Device"]));
    let devices: Vec<_> = manipulated.into_iter().chain(used).collect();
    device_exposure::push_used(draft, "Procedure.usedReference", &event, &devices)?;
    if draft.has_rows() { Ok(()) } else { Err(Judgement::excluded("domain_visit", "Procedure.code")) }
}

/// The row of an event.
pub fn row<'d>(key: i64, concept_id: i32, event: &Event<'d>) -> ProcedureOccurrence<'d> {
    ProcedureOccurrence {
        procedure_occurrence_id: key,
        person_id: event.person_id,
        procedure_concept_id: concept_id,
        procedure_date: event.start.date,
        procedure_datetime: event.start.utc(),
        procedure_end_date: event.end.map(|end| end.date),
        procedure_end_datetime: event.end.and_then(|end| end.utc()),
        procedure_type_concept_id: event.type_concept_id,
        modifier_concept_id: event.modifier_concept_id,
        provider_id: event.provider_id,
        visit_occurrence_id: event.visit.visit_occurrence_id,
        visit_detail_id: event.visit.visit_detail_id,
        procedure_source_value: event.source_value.clone(),
        procedure_source_concept_id: event.source_concept_id,
        modifier_source_value: event.modifier_source_value.clone(),
        ..ProcedureOccurrence::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{assert_says, judgement, losses, rows};

    fn procedure(rest: &str) -> String {
        format!(
            r#"{{"resourceType":"Procedure","id":"r","status":"completed","subject":{{"reference":"Patient/p"}},"code":{{"coding":[{{"system":"http://snomed.info/sct","code":"73761001"}}]}}{rest}}}"#
        )
    }

    #[test]
    fn a_procedure_has_a_span_and_a_site() {
        let json = procedure(
            r#","encounter":{"reference":"Encounter/e"},"performedPeriod":{"start":"2024-01-02T10:00:00Z","end":"2024-01-02T10:30:00Z"},"bodySite":[{"coding":[{"system":"http://snomed.info/sct","code":"site-1"}]},{"coding":[{"code":"site-2"}]}]"#,
        );
        assert_says(
            &rows(&json, "procedure_occurrence")[0],
            &[
                "procedure_concept_id: 4249893, procedure_date: 2024-01-02, procedure_datetime: Some(2024-01-02T10:00:00), procedure_end_date: Some(2024-01-02), procedure_end_datetime: Some(2024-01-02T10:30:00)",
                "procedure_type_concept_id: 32827, modifier_concept_id: Some(0)",
                r#"procedure_source_value: Some("73761001")"#,
                r#"modifier_source_value: Some("site-1")"#,
            ],
        );
        assert_eq!(losses(&json), ["Procedure.bodySite first_of_many"]);
        let json = procedure(r#","performedDateTime":"2024-01-02""#);
        assert_says(
            &rows(&json, "procedure_occurrence")[0],
            &["procedure_end_date: None", "procedure_type_concept_id: 32817"],
        );
    }

    #[test]
    fn a_procedure_coded_as_a_drug_or_a_finding_goes_there() {
        let drug = procedure(r#","performedDateTime":"2024-01-02""#)
            .replace("http://snomed.info/sct", "http://hl7.org/fhir/sid/cvx")
            .replace("73761001", "08");
        assert!(rows(&drug, "procedure_occurrence").is_empty());
        assert_says(
            &rows(&drug, "drug_exposure")[0],
            &[
                "drug_concept_id: 40213304, drug_exposure_start_date: 2024-01-02, drug_exposure_start_datetime: None, drug_exposure_end_date: 2024-01-02",
            ],
        );
        let finding = procedure(r#","performedDateTime":"2024-01-02""#).replace("73761001", "44054006");
        assert_eq!(rows(&finding, "condition_occurrence").len(), 1);
    }

    #[test]
    fn only_what_was_done_is_a_row() {
        for status in ["preparation", "in-progress", "not-done", "on-hold", "stopped", "unknown", "entered-in-error"] {
            let json = procedure(r#","performedDateTime":"2024-01-02""#).replace("completed", status);
            assert_eq!(judgement(&json), format!("excluded: status_{} ({status})", status.replace('-', "_")));
        }
        assert_eq!(
            judgement(&procedure(r#","performedString":"last year""#)),
            "rejected: missing_element (Procedure.performed[x])"
        );
    }
}
