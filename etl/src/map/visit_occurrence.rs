//! Encounter to `visit_occurrence`, or to `visit_detail` when it is a part of another.

use std::borrow::Cow;

use model::fhir::{CodeableConcept, DateTime, Encounter, Participant, Reference};
use model::omop::{NO_MATCHING_CONCEPT, VisitOccurrence};
use model::vocabulary::{rule, value};

use super::Judgement;
use super::draft::{Draft, literal};
use super::event::is_before;
use super::visit_detail::{self, Stay};
use crate::vocabulary::Priority;

/// Maps an Encounter.
pub fn from_encounter(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let encounter: Encounter<'_> = draft.read()?;
    draft.gate_modifiers(&encounter.modifier_extension, encounter.implicit_rules.as_ref())?;
    let in_flight = ["arrived", "triaged", "in-progress", "onleave"];
    let status = encounter.status.as_deref();
    let is_in_flight = status.is_some_and(|status| in_flight.contains(&status));
    if !is_in_flight {
        draft.gate_status("Encounter.status", status, &["finished"])?;
    }
    let person_id = draft.person("Encounter.subject", encounter.subject.as_ref())?;
    let period = encounter.period.as_ref();
    let Some(start) = period.and_then(|period| period.start) else {
        return Err(Judgement::missing("Encounter.period.start", "expected the start of the encounter"));
    };
    draft.note_precision("Encounter.period.start", &start);

    let mut stay = Stay { person_id, type_concept_id: rule::TYPE_EHR_ENCOUNTER_RECORD, ..Stay::default() };
    if start.is_partial() {
        stay.type_concept_id = rule::TYPE_EHR;
    }
    let class = encounter.class.as_ref().and_then(|class| class.code.as_ref());
    stay.concept_id = class.and_then(|class| value("encounter_class", class)).unwrap_or(NO_MATCHING_CONCEPT);
    stay.source_value = draft.source_value("Encounter.class", class);
    for kind in &encounter.encounter_type {
        let resolved = draft.resolve("Encounter.type", kind, Priority::Clinical);
        if stay.source_value.is_none() {
            stay.source_value = resolved.source_value;
        }
    }
    if let Some(hospitalization) = &encounter.hospitalization {
        let admitted = place(draft, "admit_source", hospitalization.admit_source.as_ref());
        (stay.admitted_from_concept_id, stay.admitted_from_source_value) = admitted;
        let discharged = place(draft, "discharge_disposition", hospitalization.discharge_disposition.as_ref());
        (stay.discharged_to_concept_id, stay.discharged_to_source_value) = discharged;
    }
    let end = end(draft, &mut stay, start, period.and_then(|period| period.end), is_in_flight)?;
    stay.provider_id = draft.provider("Encounter.participant.individual", by_role(&encounter.participant));
    let places = encounter.location.iter().filter_map(|place| place.location.as_ref());
    stay.care_site_id = draft.care_site("Encounter.serviceProvider", encounter.service_provider.iter().chain(places));

    if let Some(whole) = encounter.part_of.as_ref().and_then(literal) {
        let name = format!("Encounter/{}", draft.resource.id);
        if let Some(visit_occurrence_id) = draft.context.references.visit_around(&name, &whole) {
            let parent_visit_detail_id = draft.context.references.visit_detail(&whole);
            visit_detail::push(draft, stay, start, end, visit_occurrence_id, parent_visit_detail_id);
            return Ok(());
        }
        draft.lose("Encounter.partOf", "unresolved_reference");
    }
    push(draft, stay, start, end);
    Ok(())
}

fn push<'d>(draft: &mut Draft<'d, '_>, stay: Stay<'d>, start: DateTime, end: DateTime) {
    let row = VisitOccurrence {
        visit_occurrence_id: draft.key("visit_occurrence", ""),
        person_id: stay.person_id,
        visit_concept_id: stay.concept_id,
        visit_start_date: start.date,
        visit_start_datetime: start.utc(),
        visit_end_date: end.date,
        visit_end_datetime: end.utc(),
        visit_type_concept_id: stay.type_concept_id,
        provider_id: stay.provider_id,
        care_site_id: stay.care_site_id,
        visit_source_value: stay.source_value,
        visit_source_concept_id: Some(NO_MATCHING_CONCEPT),
        admitted_from_concept_id: stay.admitted_from_concept_id,
        admitted_from_source_value: stay.admitted_from_source_value,
        discharged_to_concept_id: stay.discharged_to_concept_id,
        discharged_to_source_value: stay.discharged_to_source_value,
        ..VisitOccurrence::default()
    };
    draft.push(row, "".into());
}

/// The end as told, or derived: a stay that goes on ends with what the source knows, anything else when it starts.
fn end(
    draft: &mut Draft<'_, '_>,
    stay: &mut Stay<'_>,
    start: DateTime,
    told: Option<DateTime>,
    is_in_flight: bool,
) -> Result<DateTime, Judgement> {
    if let Some(end) = told {
        draft.note_precision("Encounter.period.end", &end);
        // `2024` may well end a stay that starts in May 2024: only its last day would tell.
        if is_before(&end, &start) && !end.is_partial() {
            let expected = "expected an end that is not before the start";
            return Err(Judgement::rejected("Encounter.period.end", "end_before_start", expected));
        }
        return Ok(if is_before(&end, &start) { DateTime::from(start.date) } else { end });
    }
    draft.lose("Encounter.period.end", "derived");
    let is_inpatient = [rule::VISIT_INPATIENT, rule::VISIT_EMERGENCY_ROOM_AND_INPATIENT].contains(&stay.concept_id);
    if is_in_flight && is_inpatient && draft.context.extraction_date >= start.date {
        stay.discharged_to_concept_id = Some(rule::DISCHARGE_STILL_PATIENT);
        return Ok(DateTime::from(draft.context.extraction_date));
    }
    Ok(start)
}

fn place<'d>(
    draft: &mut Draft<'d, '_>,
    map: &str,
    concept: Option<&CodeableConcept<'d>>,
) -> (Option<i32>, Option<Cow<'d, str>>) {
    let Some(concept) = concept.filter(|concept| !concept.coding.is_empty()) else {
        return (None, None);
    };
    let known = concept.coding.iter().find_map(|coding| {
        let code = coding.code.as_ref()?;
        value(map, code).map(|concept_id| (concept_id, code))
    });
    match known {
        Some((concept_id, code)) => (Some(concept_id), draft.source_value("Encounter.hospitalization", Some(code))),
        None => (Some(NO_MATCHING_CONCEPT), draft.first_code("Encounter.hospitalization", concept)),
    }
}

/// Attender, then primary performer, then the others as they come.
fn by_role<'k, 'd>(participants: &'k [Participant<'d>]) -> Vec<&'k Reference<'d>> {
    let rank = |participant: &&Participant<'_>| {
        let has = |code: &str| participant.participant_type.iter().any(|kind| kind.has_code(code));
        if has("ATND") {
            0
        } else if has("PPRF") {
            1
        } else {
            2
        }
    };
    let mut sorted: Vec<&Participant<'d>> = participants.iter().collect();
    sorted.sort_by_key(rank);
    sorted.into_iter().filter_map(|participant| participant.individual.as_ref()).collect()
}

#[cfg(test)]
mod tests {
    use model::omop::key::omop_key;

    use super::super::sample::{assert_says, judgement, judgement_with, losses, only, rows, rows_with};

    fn encounter(status: &str, class: &str, rest: &str) -> String {
        format!(
            r#"{{"resourceType":"Encounter","id":"e","status":"{status}","class":{{"code":"{class}"}},"subject":{{"reference":"Patient/p"}},"identifier":[{{"value":"ACC-7"}}]{rest}}}"#
        )
    }

    const PERIOD: &str = r#","period":{"start":"2024-01-02T23:00:00-05:00","end":"2024-01-03T01:00:00-05:00"}"#;

    #[test]
    fn an_encounter_is_a_visit_with_its_class() {
        for (class, concept) in [
            ("IMP", 9201),
            ("ACUTE", 9201),
            ("NONAC", 9201),
            ("AMB", 9202),
            ("SS", 9202),
            ("PRENC", 9202),
            ("EMER", 9203),
            ("OBSENC", 262),
            ("HH", 581476),
            ("VR", 722455),
            ("FLD", 38004353),
            ("XYZ", 0),
        ] {
            let visit = &rows(&encounter("finished", class, PERIOD), "visit_occurrence")[0];
            assert_says(
                visit,
                &[&format!("visit_concept_id: {concept},"), &format!(r#"visit_source_value: Some("{class}")"#)],
            );
        }
        let visit = &rows(&encounter("finished", "AMB", PERIOD), "visit_occurrence")[0];
        assert_says(
            visit,
            &[
                "visit_start_date: 2024-01-02, visit_start_datetime: Some(2024-01-03T04:00:00)",
                "visit_end_date: 2024-01-03, visit_end_datetime: Some(2024-01-03T06:00:00)",
                "visit_type_concept_id: 32827",
                &format!("person_id: {}", omop_key("test", "Patient/p", "person", "")),
            ],
        );
        assert!(!visit.contains("ACC-7"), "{visit}");
    }

    #[test]
    fn only_what_took_place_is_a_visit() {
        for status in ["planned", "cancelled", "entered-in-error", "unknown"] {
            let reason = format!("excluded: status_{} ({status})", status.replace('-', "_"));
            assert_eq!(judgement(&encounter(status, "AMB", PERIOD)), reason);
        }
        assert_eq!(judgement(&encounter("completed?", "AMB", PERIOD)), "rejected: unknown_code (Encounter.status)");
        for status in ["arrived", "triaged", "in-progress", "onleave", "finished"] {
            assert_eq!(judgement(&encounter(status, "AMB", PERIOD)), "mapped", "{status}");
        }
    }

    #[test]
    fn an_end_that_is_not_told_is_derived() {
        let open = r#","period":{"start":"2024-01-02T10:00:00Z"}"#;
        let still = format!("discharged_to_concept_id: Some({})", super::rule::DISCHARGE_STILL_PATIENT);
        let visit = &rows(&encounter("in-progress", "IMP", open), "visit_occurrence")[0];
        assert_says(visit, &["visit_end_date: 2025-01-01, visit_end_datetime: None", &still]);
        let visit = &rows(&encounter("in-progress", "AMB", open), "visit_occurrence")[0];
        assert_says(
            visit,
            &[
                "visit_end_date: 2024-01-02, visit_end_datetime: Some(2024-01-02T10:00:00)",
                "discharged_to_concept_id: None",
            ],
        );
        assert_eq!(losses(&encounter("finished", "IMP", open)), ["Encounter.period.end derived"]);
        let backwards = r#","period":{"start":"2024-01-02","end":"2024-01-01"}"#;
        assert_eq!(
            judgement(&encounter("finished", "AMB", backwards)),
            "rejected: end_before_start (Encounter.period.end)"
        );
        assert_eq!(judgement(&encounter("finished", "AMB", "")), "rejected: missing_element (Encounter.period.start)");
    }

    #[test]
    fn a_day_without_time_has_no_datetime_and_a_month_is_its_first_day() {
        let visit = &rows(
            &encounter("finished", "AMB", r#","period":{"start":"2024-02","end":"2024-02-03"}"#),
            "visit_occurrence",
        )[0];
        assert_says(
            visit,
            &["visit_start_date: 2024-02-01, visit_start_datetime: None", "visit_type_concept_id: 32817"],
        );
    }

    #[test]
    fn where_from_and_where_to_are_known_codes_or_zero() {
        let rest = format!(
            r#"{PERIOD},"hospitalization":{{"admitSource":{{"coding":[{{"code":"emd"}}]}},"dischargeDisposition":{{"coding":[{{"code":"snf"}}]}}}}"#
        );
        assert_says(
            &rows(&encounter("finished", "IMP", &rest), "visit_occurrence")[0],
            &[
                r#"admitted_from_concept_id: Some(8870), admitted_from_source_value: Some("emd")"#,
                r#"discharged_to_concept_id: Some(8863), discharged_to_source_value: Some("snf")"#,
            ],
        );
        let rest = rest.replace("emd", "other").replace("snf", "nowhere");
        assert_says(
            &rows(&encounter("finished", "IMP", &rest), "visit_occurrence")[0],
            &[
                "admitted_from_concept_id: Some(0)",
                r#"discharged_to_concept_id: Some(0), discharged_to_source_value: Some("nowhere")"#,
            ],
        );
    }

    #[test]
    fn the_attender_is_the_provider() {
        let rest = format!(
            r#"{PERIOD},"participant":[{{"individual":{{"reference":"Practitioner/a"}}}},{{"type":[{{"coding":[{{"code":"PPRF"}}]}}],"individual":{{"reference":"Practitioner/b"}}}},{{"type":[{{"coding":[{{"code":"ATND"}}]}}],"individual":{{"reference":"Practitioner/c"}}}}],"serviceProvider":{{"reference":"Organization/o"}}"#
        );
        let visit = &rows(&encounter("finished", "AMB", &rest), "visit_occurrence")[0];
        assert_says(
            visit,
            &[
                &format!("provider_id: Some({})", omop_key("test", "Practitioner/c", "provider", "")),
                &format!("care_site_id: Some({})", omop_key("test", "Organization/o", "care_site", "")),
            ],
        );
    }

    #[test]
    fn a_part_of_a_visit_is_a_visit_detail() {
        let rest = format!(r#"{PERIOD},"partOf":{{"reference":"Encounter/whole"}}"#);
        let json = encounter("finished", "IMP", &rest);
        let mut known = only(&[("Patient/p", "person"), ("Encounter/whole", "visit_occurrence")]);
        let visit = omop_key("test", "Encounter/whole", "visit_occurrence", "");
        let detail = omop_key("test", "Encounter/e", "visit_detail", "");
        known.directory.as_mut().unwrap().visit_of_detail.insert(detail, visit);
        assert!(rows_with(&json, "visit_occurrence", &known).is_empty());
        assert_says(
            &rows_with(&json, "visit_detail", &known)[0],
            &[
                &format!("visit_occurrence_id: {visit}"),
                "parent_visit_detail_id: None",
                "visit_detail_concept_id: 9201",
            ],
        );
        let orphan = only(&[("Patient/p", "person")]);
        assert_eq!(rows_with(&json, "visit_occurrence", &orphan).len(), 1);
    }

    #[test]
    fn a_visit_is_about_a_patient_that_exists() {
        let json = encounter("finished", "AMB", PERIOD);
        assert_eq!(judgement_with(&json, &only(&[])), "rejected: unresolved_reference (Encounter.subject)");
        let group = json.replace("Patient/p", "Group/g");
        assert_eq!(judgement_with(&group, &only(&[])), "excluded: subject_not_patient (Group)");
        let nobody = json.replace(r#""subject":{"reference":"Patient/p"},"#, "");
        assert_eq!(judgement(&nobody), "rejected: missing_element (Encounter.subject)");
    }
}
