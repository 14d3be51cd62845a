//! Condition to `condition_occurrence`; what is not confirmed becomes an observation with a qualifier.

use chrono::{Days, Months};
use model::fhir::{CodeableConcept, Condition, DateTime, Quantity};
use model::omop::{ConditionOccurrence, NO_MATCHING_CONCEPT};
use model::vocabulary::{rule, value};

use super::Judgement;
use super::draft::Draft;
use super::event::{ConditionPart, Event};
use crate::vocabulary::{Domain, Priority};

/// Maps a Condition.
pub fn from_condition(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let condition: Condition<'_> = draft.read()?;
    draft.gate_modifiers(&condition.modifier_extension, condition.implicit_rules.as_ref())?;
    let verification = condition.verification_status.as_ref().and_then(CodeableConcept::first_code);
    if let Some(code) = verification {
        let admitted = ["confirmed", "provisional", "differential", "refuted"];
        draft.gate_status("Condition.verificationStatus", Some(code), &admitted)?;
    } else {
        draft.lose("Condition.verificationStatus", "taken_as_confirmed");
    }
    let person_id = draft.person("Condition.subject", condition.subject.as_ref())?;
    let Start { start, is_imputed } = start(draft, &condition, person_id)?;
    let visit = draft.visit("Condition.encounter", condition.encounter.as_ref());
    let code = draft.resolve("Condition.code", &condition.code, Priority::Clinical);
    let type_concept_id = if start.is_partial() || is_imputed {
        rule::TYPE_EHR
    } else {
        let codes = condition.category.iter().flat_map(|category| &category.coding);
        let known = codes.filter_map(|coding| value("condition_category", coding.code.as_deref()?)).next();
        known.unwrap_or(rule::TYPE_EHR)
    };

    let mut event = Event::new(Domain::Condition, person_id, start, type_concept_id, &code);
    event.visit = visit;
    event.provider_id =
        draft.provider("Condition.asserter", condition.asserter.iter().chain(condition.recorder.as_ref()));
    let abatement = condition.abatement_date_time.or(condition.abatement_period.as_ref().and_then(|period| period.end));
    event.set_end(draft, "Condition.abatement[x]", abatement);
    if abatement.is_none() && (condition.abatement_age.is_some() || condition.abatement_string.is_some()) {
        draft.lose("Condition.abatement[x]", "no_target");
    }
    if let Some(qualifier) = verification.and_then(|code| value("verification_qualifier", code)) {
        event.default = Domain::Observation;
        event.is_fixed = true;
        event.qualifier_concept_id = Some(qualifier);
        event.qualifier_source_value = verification_source(draft, &condition);
    } else {
        event.condition = status(draft, &condition);
        // Admission or discharge diagnosis, where the Encounter says so.
        if let Some(code) = draft.context.references.definition(draft.name(), "Condition") {
            event.condition.status_concept_id = value("diagnosis_use", code);
            event.condition.status_source_value = Some(code.to_owned().into());
        }
    }
    draft.emit("Condition.code", &event, &code);
    if draft.has_rows() { Ok(()) } else { Err(Judgement::excluded("domain_visit", "Condition.code")) }
}

/// The row of an event.
pub fn row<'d>(key: i64, concept_id: i32, event: &Event<'d>) -> ConditionOccurrence<'d> {
    ConditionOccurrence {
        condition_occurrence_id: key,
        person_id: event.person_id,
        condition_concept_id: concept_id,
        condition_start_date: event.start.date,
        condition_start_datetime: event.start.utc(),
        condition_end_date: event.end.map(|end| end.date),
        condition_end_datetime: event.end.and_then(|end| end.utc()),
        condition_type_concept_id: event.type_concept_id,
        condition_status_concept_id: event.condition.status_concept_id,
        stop_reason: event.condition.stop_reason.clone(),
        provider_id: event.provider_id,
        visit_occurrence_id: event.visit.visit_occurrence_id,
        visit_detail_id: event.visit.visit_detail_id,
        condition_source_value: event.source_value.clone(),
        condition_source_concept_id: event.source_concept_id,
        condition_status_source_value: event.condition.status_source_value.clone(),
    }
}

/// When it began.
struct Start {
    start: DateTime,
    /// True when it was computed from an age: f2o-071 asks for the general type concept.
    is_imputed: bool,
}

impl From<DateTime> for Start {
    fn from(start: DateTime) -> Self {
        Start { start, is_imputed: false }
    }
}

/// When it began: the day of onset, the day on which the patient had the age of onset, or when it was written down.
fn start(draft: &mut Draft<'_, '_>, condition: &Condition<'_>, person_id: i64) -> Result<Start, Judgement> {
    let onset = condition.onset_date_time.or(condition.onset_period.as_ref().and_then(|period| period.start));
    if let Some(onset) = onset {
        draft.note_precision("Condition.onset[x]", &onset);
        return Ok(onset.into());
    }
    if let Some(age) = &condition.onset_age {
        let start = birthday(draft, age, person_id)?;
        draft.lose("Condition.onsetAge", "imputed");
        return Ok(Start { start, is_imputed: true });
    }
    if condition.onset_range.is_some() || condition.onset_string.is_some() {
        draft.lose("Condition.onset[x]", "no_target");
    }
    let Some(recorded) = condition.recorded_date else {
        return Err(Judgement::missing("Condition.onset[x]", "expected an onset date or a recorded date"));
    };
    draft.lose("Condition.onset[x]", "date_from_recorded");
    draft.note_precision("Condition.recordedDate", &recorded);
    Ok(recorded.into())
}

/// The day on which the person had that age.
fn birthday(draft: &Draft<'_, '_>, age: &Quantity<'_>, person_id: i64) -> Result<DateTime, Judgement> {
    const AGE: &str = "Condition.onsetAge";
    let Some(birth) = draft.context.references.birth_date(person_id) else {
        return Err(Judgement::rejected(AGE, "unknown_birth_date", "expected a Patient with a birth date"));
    };
    let Some(number) = age.value.as_ref().map(|value| value.number()) else {
        return Err(Judgement::missing(AGE, "expected a number"));
    };
    let expected = "expected an age between 0 and 150 years, in a, mo, wk or d";
    let wrong = || Judgement::rejected(AGE, "out_of_range", expected);
    let day = match age.code.as_deref().or(age.unit.as_deref()).unwrap_or("a") {
        "a" | "year" | "years" if (0.0..=150.0).contains(&number) => {
            birth.checked_add_months(Months::new((number * 12.0) as u32))
        }
        "mo" | "month" | "months" if (0.0..=1_800.0).contains(&number) => {
            birth.checked_add_months(Months::new(number as u32))
        }
        "wk" | "week" | "weeks" if (0.0..=8_000.0).contains(&number) => {
            birth.checked_add_days(Days::new((number * 7.0) as u64))
        }
        "d" | "day" | "days" if (0.0..=55_000.0).contains(&number) => birth.checked_add_days(Days::new(number as u64)),
        _ => return Err(wrong()),
    };
    day.map(DateTime::from).ok_or_else(wrong)
}

/// What the source says of the diagnosis: how sure it is or, when that is not told, that it is over.
fn status<'d>(draft: &mut Draft<'d, '_>, condition: &Condition<'d>) -> ConditionPart<'d> {
    if let Some(code) = condition.verification_status.as_ref().and_then(CodeableConcept::first_code) {
        let concept_id = value("verification_status", code).unwrap_or(NO_MATCHING_CONCEPT);
        let status_source_value = verification_source(draft, condition);
        return ConditionPart { status_concept_id: Some(concept_id), status_source_value, ..ConditionPart::default() };
    }
    let Some(clinical) = condition.clinical_status.as_ref() else {
        return ConditionPart::default();
    };
    ConditionPart {
        status_concept_id: clinical.first_code().and_then(|code| value("clinical_status", code)),
        status_source_value: draft.first_code("Condition.clinicalStatus", clinical),
        ..ConditionPart::default()
    }
}

fn verification_source<'d>(draft: &mut Draft<'d, '_>, condition: &Condition<'d>) -> Option<std::borrow::Cow<'d, str>> {
    let status = condition.verification_status.as_ref()?;
    draft.first_code("Condition.verificationStatus", status)
}

#[cfg(test)]
mod tests {
    use model::omop::key::omop_key;

    use super::super::sample::{assert_says, judgement, losses, only, rows, rows_with};

    fn condition(rest: &str) -> String {
        format!(
            r#"{{"resourceType":"Condition","id":"c","subject":{{"reference":"Patient/p"}},"code":{{"coding":[{{"system":"http://snomed.info/sct","code":"44054006","display":"Diabetes"}}],"text":"Diabetes"}}{rest}}}"#
        )
    }

    fn verified(status: &str) -> String {
        format!(r#","onsetDateTime":"2024-01-02","verificationStatus":{{"coding":[{{"code":"{status}"}}]}}"#)
    }

    #[test]
    fn diabetes_is_a_condition() {
        let json = condition(
            r#","verificationStatus":{"coding":[{"code":"confirmed"}]},"clinicalStatus":{"coding":[{"code":"resolved"}]},
            "onsetDateTime":"2024-01-02T22:00:00-05:00","abatementDateTime":"2024-02-01","encounter":{"reference":"Encounter/e"},
            "recorder":{"reference":"Practitioner/d"},"category":[{"coding":[{"code":"encounter-diagnosis"}]}]"#,
        );
        let rows = rows(&json, "condition_occurrence");
        assert_eq!(rows.len(), 1);
        assert_says(
            &rows[0],
            &[
                "[] ",
                &format!("condition_occurrence_id: {}", omop_key("test", "Condition/c", "condition_occurrence", "")),
                "condition_concept_id: 201826, condition_start_date: 2024-01-02, condition_start_datetime: Some(2024-01-03T03:00:00)",
                "condition_end_date: Some(2024-02-01), condition_end_datetime: None, condition_type_concept_id: 32827",
                "condition_status_concept_id: Some(32893)",
                &format!("visit_occurrence_id: Some({})", omop_key("test", "Encounter/e", "visit_occurrence", "")),
                r#"condition_source_value: Some("44054006"), condition_source_concept_id: Some(201826), condition_status_source_value: Some("confirmed")"#,
            ],
        );
        assert!(!rows[0].contains("Diabetes"), "{}", rows[0]);
    }

    #[test]
    fn copd_is_found_and_an_unknown_code_is_zero_in_the_default_table() {
        let copd = condition(r#","recordedDate":"2024""#).replace("44054006", "13645005");
        assert_says(&rows(&copd, "condition_occurrence")[0], &["condition_concept_id: 255573"]);
        let unknown = condition(r#","recordedDate":"2024-01-01""#).replace("44054006", "1234567890");
        assert_says(
            &rows(&unknown, "condition_occurrence")[0],
            &[
                "condition_concept_id: 0,",
                r#"condition_source_value: Some("1234567890"), condition_source_concept_id: Some(0)"#,
            ],
        );
        let text = r#"{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"onsetDateTime":"2024-01-01","code":{"text":"sore"}}"#;
        assert_says(
            &rows(text, "condition_occurrence")[0],
            &["condition_concept_id: 0,", "condition_source_value: None"],
        );
    }

    #[test]
    fn a_code_of_another_domain_goes_to_that_table() {
        let json = condition(
            r#","onsetDateTime":"2024-01-02","encounter":{"reference":"Encounter/e"},"abatementDateTime":"2024-03-01""#,
        )
        .replace("44054006", "716186003");
        assert!(rows(&json, "condition_occurrence").is_empty());
        assert_says(
            &rows(&json, "observation")[0],
            &[
                &format!("observation_id: {}", omop_key("test", "Condition/c", "observation", "")),
                "observation_concept_id: 37396387, observation_date: 2024-01-02",
                &format!("visit_occurrence_id: Some({})", omop_key("test", "Encounter/e", "visit_occurrence", "")),
            ],
        );
        assert!(losses(&json).contains(&"Condition.code end_without_column".to_owned()));
    }

    #[test]
    fn what_is_not_confirmed_is_an_observation_with_a_qualifier() {
        for (status, qualifier) in [("refuted", 4132135), ("provisional", 32899), ("differential", 32899)] {
            let json = condition(&verified(status));
            assert!(rows(&json, "condition_occurrence").is_empty());
            assert_says(
                &rows(&json, "observation")[0],
                &[
                    "observation_concept_id: 201826",
                    &format!("qualifier_concept_id: Some({qualifier})"),
                    &format!(r#"qualifier_source_value: Some("{status}")"#),
                ],
            );
        }
        assert_eq!(judgement(&condition(&verified("unconfirmed"))), "excluded: status_unconfirmed (unconfirmed)");
        assert_eq!(
            judgement(&condition(&verified("entered-in-error"))),
            "excluded: status_entered_in_error (entered-in-error)"
        );
        assert_eq!(judgement(&condition(&verified("maybe"))), "rejected: unknown_code (Condition.verificationStatus)");
    }

    #[test]
    fn a_status_that_is_not_told_stays_open() {
        let json = condition(r#","onsetDateTime":"2024-01-02","clinicalStatus":{"coding":[{"code":"active"}]}"#);
        assert_says(
            &rows(&json, "condition_occurrence")[0],
            &["condition_status_concept_id: None", r#"condition_status_source_value: Some("active")"#],
        );
        let json = condition(r#","onsetDateTime":"2024-01-02","clinicalStatus":{"coding":[{"code":"resolved"}]}"#);
        assert_says(&rows(&json, "condition_occurrence")[0], &["condition_status_concept_id: Some(32906)"]);
    }

    #[test]
    fn the_start_is_the_onset_or_when_it_was_written_down() {
        for (rest, start) in [
            (r#","onsetPeriod":{"start":"2023-05-06"},"recordedDate":"2024-01-01""#, "2023-05-06"),
            (r#","onsetString":"long ago","recordedDate":"2024-01-01""#, "2024-01-01"),
            (r#","onsetDateTime":"2020-03","recordedDate":"2024-01-01""#, "2020-03-01"),
        ] {
            assert_says(
                &rows(&condition(rest), "condition_occurrence")[0],
                &[&format!("condition_start_date: {start}, condition_start_datetime: None")],
            );
        }
        assert_eq!(judgement(&condition("")), "rejected: missing_element (Condition.onset[x])");
        let backwards = condition(r#","onsetDateTime":"2024-01-02","abatementDateTime":"2023-01-02""#);
        assert_says(&rows(&backwards, "condition_occurrence")[0], &["condition_end_date: None"]);
        assert!(losses(&backwards).contains(&"Condition.abatement[x] end_before_start".to_owned()));
    }

    #[test]
    fn the_type_says_where_it_was_noted() {
        for (category, concept) in
            [("problem-list-item", 32840), ("encounter-diagnosis", 32827), ("health-concern", 32817), ("x", 32817)]
        {
            let json = condition(&format!(
                r#","onsetDateTime":"2024-01-02","category":[{{"coding":[{{"code":"{category}"}}]}}]"#
            ));
            assert_says(&rows(&json, "condition_occurrence")[0], &[&format!("condition_type_concept_id: {concept},")]);
        }
    }

    #[test]
    fn an_unresolved_visit_or_provider_is_null_and_counted() {
        let json = condition(
            r#","onsetDateTime":"2024-01-02","encounter":{"reference":"Encounter/e"},"asserter":{"reference":"Practitioner/d"}"#,
        );
        let known = only(&[("Patient/p", "person")]);
        assert_says(
            &rows_with(&json, "condition_occurrence", &known)[0],
            &["provider_id: None, visit_occurrence_id: None, visit_detail_id: None"],
        );
        let lost = super::super::sample::with(&json, &known, |mapped| {
            mapped.losses.iter().filter(|loss| loss.reason == "unresolved_reference").count()
        });
        assert_eq!(lost, 2);
    }
}
