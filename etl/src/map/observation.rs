//! AllergyIntolerance to `observation`, and the row of any event that belongs there.

mod family_member_history;
mod questionnaire_response;

use model::fhir::{AllergyIntolerance, CodeableConcept, DateTime};
use model::omop::{NO_MATCHING_CONCEPT, Observation};
use model::vocabulary::{is_substance, rule, value};

use super::Judgement;
use super::draft::{Draft, names_type};
use super::event::Event;
use crate::vocabulary::{Domain, Priority, Resolution, Target};

pub use family_member_history::from_family_member_history;
pub use questionnaire_response::from_questionnaire_response;

/// Maps an AllergyIntolerance: one observation, and one for each reaction.
pub fn from_allergy_intolerance(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let allergy: AllergyIntolerance<'_> = draft.read()?;
    draft.gate_modifiers(&allergy.modifier_extension, allergy.implicit_rules.as_ref())?;
    for (index, reaction) in allergy.reaction.iter().enumerate() {
        draft.gate_extensions(&format!("reaction[{index}]"), &reaction.modifier_extension)?;
    }
    if let Some(code) = allergy.verification_status.as_ref().and_then(CodeableConcept::first_code) {
        let admitted = ["confirmed", "unconfirmed", "presumed"];
        draft.gate_status("AllergyIntolerance.verificationStatus", Some(code), &admitted)?;
    }
    let person_id = draft.person("AllergyIntolerance.patient", allergy.patient.as_ref())?;
    let start = start(draft, &allergy)?;
    let code = allergy_code(draft, &allergy);
    let mut event = Event::new(Domain::Observation, person_id, start, type_concept_id(&allergy, start), &code);
    event.is_fixed = true;
    event.visit = draft.visit("AllergyIntolerance.encounter", allergy.encounter.as_ref());
    event.provider_id =
        draft.provider("AllergyIntolerance.asserter", allergy.asserter.iter().chain(allergy.recorder.as_ref()));
    event.value.concept_id = code.value_concept_id;
    event.qualifier_source_value = draft.source_value("AllergyIntolerance.criticality", allergy.criticality.as_ref());
    let main = draft.emit("AllergyIntolerance.code", &event, &code);

    for (index, reaction) in allergy.reaction.iter().enumerate() {
        for (manifestation_index, manifestation) in reaction.manifestation.iter().enumerate() {
            let code = draft.resolve("AllergyIntolerance.reaction.manifestation", manifestation, Priority::Clinical);
            let at = reaction.onset.unwrap_or(start);
            let mut event = Event::new(Domain::Observation, person_id, at, event.type_concept_id, &code);
            event.is_fixed = true;
            event.part = match manifestation_index {
                0 => format!("reaction[{index}]"),
                further => format!("reaction[{index}].manifestation[{further}]"),
            };
            event.visit = draft.visit("AllergyIntolerance.encounter", allergy.encounter.as_ref());
            event.provider_id =
                draft.provider("AllergyIntolerance.asserter", allergy.asserter.iter().chain(allergy.recorder.as_ref()));
            event.about = main.map(|(_, key)| (key, rule::FIELD_OBSERVATION_ID));
            draft.emit("AllergyIntolerance.reaction.manifestation", &event, &code);
        }
        if reaction.severity.is_some() {
            draft.lose("AllergyIntolerance.reaction.severity", "no_target");
        }
        if reaction.substance.is_some() {
            draft.lose("AllergyIntolerance.reaction.substance", "no_target");
        }
    }
    Ok(())
}

/// The row of an event.
pub fn row<'d>(key: i64, concept_id: i32, event: &Event<'d>) -> Observation<'d> {
    Observation {
        observation_id: key,
        person_id: event.person_id,
        observation_concept_id: concept_id,
        observation_date: event.start.date,
        observation_datetime: event.start.utc(),
        observation_type_concept_id: event.type_concept_id,
        value_as_number: event.value.number,
        value_as_string: event.value.text.clone(),
        value_as_concept_id: event.value.concept_id,
        qualifier_concept_id: event.qualifier_concept_id,
        unit_concept_id: event.value.unit_concept_id,
        provider_id: event.provider_id,
        visit_occurrence_id: event.visit.visit_occurrence_id,
        visit_detail_id: event.visit.visit_detail_id,
        observation_source_value: event.source_value.clone(),
        observation_source_concept_id: event.source_concept_id,
        unit_source_value: event.value.unit_source_value.clone(),
        qualifier_source_value: event.qualifier_source_value.clone(),
        value_source_value: event.value.source_value.clone(),
        observation_event_id: event.about.map(|(key, _)| key),
        obs_event_field_concept_id: event.about.map(|(_, field)| field),
    }
}

fn start(draft: &mut Draft<'_, '_>, allergy: &AllergyIntolerance<'_>) -> Result<DateTime, Judgement> {
    let onset = allergy.onset_date_time.or(allergy.onset_period.as_ref().and_then(|period| period.start));
    let Some(start) = allergy.recorded_date.or(onset) else {
        return Err(Judgement::missing("AllergyIntolerance.recordedDate", "expected a recorded date or an onset"));
    };
    draft.note_precision("AllergyIntolerance.recordedDate", &start);
    if allergy.recorded_date.is_some() && onset.is_some() {
        draft.lose("AllergyIntolerance.onset[x]", "no_target");
    }
    Ok(start)
}

fn type_concept_id(allergy: &AllergyIntolerance<'_>, start: DateTime) -> i32 {
    let asserter = allergy.asserter.as_ref();
    let is_patient = asserter.is_some_and(|asserter| names_type(asserter, &["Patient"]));
    if is_patient && !start.is_partial() { rule::TYPE_PATIENT_SELF_REPORT } else { rule::TYPE_EHR }
}

/// What the code says: an allergy; or only a substance, then type and category say what it does and the substance is
/// the value.
fn allergy_code<'d>(draft: &mut Draft<'d, '_>, allergy: &AllergyIntolerance<'d>) -> Resolution<'d> {
    let mut code = draft.resolve("AllergyIntolerance.code", &allergy.code, Priority::Clinical);
    let vocabulary = draft.context.vocabulary;
    let says_substance = |concept_id: i32| {
        vocabulary.concept(concept_id).is_some_and(|concept| is_substance(concept.domain_id, concept.concept_class_id))
    };
    let Some(substance) = code.targets.first().map(|target| target.concept_id) else {
        return code;
    };
    if !says_substance(substance) && !code.source_concept_id.is_some_and(says_substance) {
        return code;
    }
    let allergy_type = allergy.allergy_type.as_deref().unwrap_or("allergy");
    let categories: Vec<&str> = allergy.category.iter().flatten().map(|category| &**category).collect();
    if categories.len() > 1 {
        draft.lose("AllergyIntolerance.category", "first_of_many");
    }
    let is_drug = vocabulary.concept(substance).is_some_and(|concept| concept.domain == Domain::Drug);
    // Without a category the substance itself tells a drug; else the most general concept there is.
    let category = categories.first().copied().unwrap_or(if is_drug { "medication" } else { "biologic" });
    let concept_id = value("allergy_category", &format!("{allergy_type}/{category}")).unwrap_or(NO_MATCHING_CONCEPT);
    code.targets = vec![Target { concept_id, domain: Domain::Observation }];
    code.value_concept_id = Some(substance);
    code
}

#[cfg(test)]
mod tests {
    use model::omop::key::omop_key;

    use super::super::sample::{assert_says, judgement, losses, rows};

    fn allergy(system: &str, code: &str, rest: &str) -> String {
        format!(
            r#"{{"resourceType":"AllergyIntolerance","id":"a","patient":{{"reference":"Patient/p"}},"recordedDate":"2024-01-02","code":{{"coding":[{{"system":"{system}","code":"{code}"}}]}}{rest}}}"#
        )
    }

    const SNOMED: &str = "http://snomed.info/sct";
    const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";

    #[test]
    fn a_penicillin_allergy_says_allergy_and_substance() {
        let rows = rows(&allergy(SNOMED, "294499007", r#","criticality":"high""#), "observation");
        assert_eq!(rows.len(), 1);
        assert_says(
            &rows[0],
            &[
                "observation_concept_id: 439224, observation_date: 2024-01-02, observation_datetime: None, observation_type_concept_id: 32817",
                "value_as_concept_id: Some(1728416), qualifier_concept_id: None",
                r#"observation_source_value: Some("294499007"), observation_source_concept_id: Some(4167462)"#,
                r#"qualifier_source_value: Some("high")"#,
            ],
        );
    }

    #[test]
    fn no_known_allergy_has_no_value() {
        let row = &rows(&allergy(SNOMED, "716186003", r#","type":"allergy","category":["food"]"#), "observation")[0];
        assert_says(row, &["observation_concept_id: 37396387", "value_as_concept_id: None"]);
    }

    #[test]
    fn a_mere_substance_is_told_by_type_and_category() {
        for (kind, category, concept) in [
            ("allergy", "food", 4188027),
            ("allergy", "medication", 439224),
            ("allergy", "environment", 4144450),
            ("allergy", "biologic", 43530807),
            ("intolerance", "food", 4340252),
            ("intolerance", "medication", 4240582),
            ("intolerance", "environment", 4172024),
            ("intolerance", "biologic", 36684107),
        ] {
            let json = allergy(RXNORM, "7980", &format!(r#","type":"{kind}","category":["{category}"]"#));
            let row = &rows(&json, "observation")[0];
            assert_says(
                row,
                &[
                    &format!("observation_concept_id: {concept},"),
                    "value_as_concept_id: Some(1728416)",
                    "observation_source_concept_id: Some(1728416)",
                ],
            );
        }
        let bare = &rows(&allergy(RXNORM, "7980", ""), "observation")[0];
        assert_says(bare, &["observation_concept_id: 439224,"]);
    }

    #[test]
    fn each_reaction_points_to_its_allergy() {
        let json = allergy(
            SNOMED,
            "294499007",
            r#","reaction":[{"manifestation":[{"coding":[{"system":"http://snomed.info/sct","code":"271807003"}]},{"text":"itch"}],"severity":"mild"},{"manifestation":[{"coding":[{"system":"http://snomed.info/sct","code":"unknown"}]}],"onset":"2023-05-06"}]"#,
        );
        let rows = rows(&json, "observation");
        assert_eq!(rows.len(), 4);
        let main = omop_key("test", "AllergyIntolerance/a", "observation", "");
        let about = format!("observation_event_id: Some({main}), obs_event_field_concept_id: Some(1147165)");
        assert_says(
            &rows[1],
            &[
                "[reaction[0]]",
                "observation_concept_id: 140214, observation_date: 2024-01-02",
                "value_as_concept_id: None",
                &about,
            ],
        );
        assert_says(&rows[2], &["[reaction[0].manifestation[1]]", "observation_concept_id: 0,", &about]);
        assert_says(&rows[3], &["[reaction[1]]", "observation_concept_id: 0, observation_date: 2023-05-06", &about]);
        assert_eq!(losses(&json), ["AllergyIntolerance.reaction.severity no_target"]);
    }

    #[test]
    fn what_was_refuted_or_has_no_day_is_no_row() {
        for status in ["refuted", "entered-in-error"] {
            let json =
                allergy(SNOMED, "294499007", &format!(r#","verificationStatus":{{"coding":[{{"code":"{status}"}}]}}"#));
            assert_eq!(judgement(&json), format!("excluded: status_{} ({status})", status.replace('-', "_")));
        }
        let undated = allergy(SNOMED, "294499007", "").replace(r#""recordedDate":"2024-01-02","#, "");
        assert_eq!(judgement(&undated), "rejected: missing_element (AllergyIntolerance.recordedDate)");
        let onset = undated.replace(r#""patient""#, r#""onsetDateTime":"2020","patient""#);
        assert_says(&rows(&onset, "observation")[0], &["observation_date: 2020-01-01"]);
        let unconfirmed = allergy(SNOMED, "294499007", r#","verificationStatus":{"coding":[{"code":"unconfirmed"}]}"#);
        assert_eq!(judgement(&unconfirmed), "mapped");
    }

    #[test]
    fn an_unknown_code_is_zero_among_observations() {
        let row = &rows(&allergy(SNOMED, "1", ""), "observation")[0];
        assert_says(
            row,
            &[
                "observation_concept_id: 0,",
                r#"observation_source_value: Some("1"), observation_source_concept_id: Some(0)"#,
            ],
        );
    }

    #[test]
    fn what_the_patient_says_is_told_apart() {
        let json = allergy(SNOMED, "294499007", r#","asserter":{"reference":"Patient/p"}"#);
        assert_says(&rows(&json, "observation")[0], &["observation_type_concept_id: 32865", "provider_id: None"]);
    }
}
