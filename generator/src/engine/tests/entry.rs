//! What clinical states write.

use super::*;
use crate::record::ObservationValue;

fn rxnorm(code: &str) -> Json {
    json!([{"system": "RxNorm", "code": code, "display": "x"}])
}

fn one(system: &str, code: &str) -> Json {
    json!({"system": system, "code": code, "display": "x"})
}

#[test]
fn what_is_given_on_the_spot_is_no_order_unless_it_is_chronic() {
    let order = |chronic: bool, to: &str| {
        json!({"type": "MedicationOrder", "administration": true, "chronic": chronic, "assign_to_attribute": "drug",
            "codes": rxnorm(if chronic { "2" } else { "1" }), "direct_transition": to})
    };
    let active = json!({"condition_type": "Active Medication", "codes": rxnorm("1")});
    let world = world(&[(
        "m",
        json!({"Initial": initial("A"), "A": order(false, "Ask"), "Ask": ask(active), "Yes": terminal(),
            "No": simple("B"), "B": order(true, "End"), "End": terminal()}),
    )]);
    let mut person = lived(&world);
    assert_eq!(days(&person, "No"), [0]);
    let record = person.finish();
    assert_eq!((record.administrations.len(), record.administrations[0].encounter), (2, None));
    assert!(record.medications.iter().all(|order| world.library.codes.first(order.codes).code == "2"));
}

#[test]
fn devices_begin_once_and_end_by_state_attribute_or_the_name_of_a_state_elsewhere() {
    let device = |code: &str, to: &str| json!({"type": "Device", "code": one("SNOMED-CT", code), "manufacturer": "x", "direct_transition": to});
    let end = |field: &str, name: &str, to: &str| {
        let mut state = json!({"type": "DeviceEnd", "direct_transition": to});
        state[field] = json!(name);
        state
    };
    let mut held = device("2", "Wait");
    held["assign_to_attribute"] = json!("held");
    let caller = json!({"Initial": initial("One"), "One": device("1", "Again"), "Again": device("1", "Two"), "Two": held,
        "Wait": delay(10.0, "Three"), "Three": device("3", "End_One"), "End_One": end("device", "One", "End_Two"),
        "End_Two": end("referenced_by_attribute", "held", "Call"),
        "Call": {"type": "CallSubmodule", "submodule": "sub/end", "direct_transition": "Done"}, "Done": terminal()});
    let inner =
        json!({"Initial": initial("End_Three"), "End_Three": end("device", "Three", "Done"), "Done": terminal()});
    let world = world(&[("m", caller), ("sub/end", inner)]);
    let record = lived(&world).finish();
    let spans: Vec<(i64, Option<i64>)> =
        record.devices.iter().map(|device| (day(device.start), device.end.map(day))).collect();
    assert_eq!(spans, [(0, Some(10)), (0, Some(10)), (10, Some(10))]);
    assert_ne!(record.devices[0].serial, record.devices[1].serial);
}

#[test]
fn supplies_and_pictures_are_kept() {
    let supplies = json!({"type": "SupplyList", "supplies": [{"quantity": 3, "code": one("SNOMED-CT", "1")},
        {"quantity": 1, "code": one("SNOMED-CT", "2")}], "direct_transition": "Look"});
    let series = json!({"body_site": one("SNOMED-CT", "51185008"), "modality": one("DICOM-DCM", "CT"),
        "instances": [{"title": "x", "sop_class": one("DICOM-SOP", "1.2.840.10008.5.1.4.1.1.2")}],
        "min_number_instances": 4, "max_number_instances": 6});
    let study = json!({"type": "ImagingStudy", "procedure_code": one("SNOMED-CT", "77477000"), "series": [series.clone(), series],
        "min_number_series": 3, "max_number_series": 3, "direct_transition": "End"});
    let world =
        world(&[("m", json!({"Initial": initial("Give"), "Give": supplies, "Look": study, "End": terminal()}))]);
    let record = lived(&world).finish();
    assert_eq!(record.supplies.iter().map(|supply| supply.quantity).collect::<Vec<_>>(), [3, 1]);
    let study = &record.imaging_studies[0];
    assert_eq!(study.series.len(), 3);
    assert!(study.series.iter().all(|series| (4..=6).contains(&series.instances.len())));
    assert_eq!(world.library.codes.first(study.series[0].modality).code, "CT");
    let procedure = &record.procedures[0];
    assert_eq!((procedure.codes, procedure.end.unwrap() - procedure.start), (study.codes, 30 * crate::moment::MINUTE));
}

#[test]
fn a_care_plan_knows_what_it_is_for() {
    let onset = json!({"type": "ConditionOnset", "codes": code("38341003"), "assign_to_attribute": "it", "direct_transition": "Plan"});
    let plan = json!({"type": "CarePlanStart", "codes": code("1"), "activities": code("2"), "reason": "it",
        "goals": [{"text": "less", "addresses": ["it"],
            "observation": {"codes": code("3"), "operator": "<", "value": 7}}], "direct_transition": "End"});
    let world = world(&[("m", json!({"Initial": initial("On"), "On": onset, "Plan": plan, "End": terminal()}))]);
    let record = lived(&world).finish();
    let plan = &record.care_plans[0];
    let text = |list: u32| world.library.codes.first(list).code.as_str();
    assert_eq!((text(plan.codes), plan.activities.map(text), plan.reason), ("1", Some("2"), Some(0)));
}

#[test]
fn an_onset_in_a_submodule_is_diagnosed_at_its_callers_visit() {
    let inner = json!({"Initial": initial("Onset"), "Onset": {"type": "ConditionOnset", "target_encounter": "Visit",
        "codes": code("38341003"), "direct_transition": "End"}, "End": terminal()});
    let caller = json!({"Initial": initial("Call"),
        "Call": {"type": "CallSubmodule", "submodule": "sub/onset", "direct_transition": "Wait"},
        "Wait": delay(10.0, "Visit"), "Visit": visit("Close"), "Close": {"type": "EncounterEnd", "direct_transition": "End"},
        "End": terminal()});
    let stranger = json!({"Initial": initial("Wait"), "Wait": delay(3.0, "Visit"), "Visit": visit("Close"),
        "Close": {"type": "EncounterEnd", "direct_transition": "End"}, "End": terminal()});
    let world = world(&[("m", caller), ("a", stranger), ("sub/onset", inner)]);
    let record = lived(&world).finish();
    assert_eq!(record.conditions.len(), 1);
    assert!(day(record.conditions[0].recorded) >= 10);
    assert_eq!(day(record.conditions[0].onset), 0);
}

#[test]
fn a_reason_may_be_a_state_of_the_caller() {
    let inner = json!({"Initial": initial("Do"), "Do": {"type": "Procedure", "codes": code("1"), "reason": "Sick",
        "direct_transition": "End"}, "End": terminal()});
    let onset = json!({"type": "ConditionOnset", "codes": code("38341003"), "direct_transition": "Call"});
    let caller = json!({"Initial": initial("Sick"), "Sick": onset,
        "Call": {"type": "CallSubmodule", "submodule": "sub/do", "direct_transition": "End"}, "End": terminal()});
    let world = world(&[("m", caller), ("sub/do", inner)]);
    let record = lived(&world).finish();
    assert_eq!(record.procedures[0].reason, Some(record.conditions[0].codes));
}

#[test]
fn conditions_and_allergies_share_one_table() {
    let allergy =
        json!({"type": "AllergyOnset", "category": "food", "codes": code("91935009"), "direct_transition": "Ask"});
    let world = world(&[(
        "m",
        json!({"Initial": initial("Start"), "Start": allergy,
            "Ask": ask(json!({"condition_type": "Active Condition", "codes": code("91935009")})),
            "Yes": terminal(), "No": terminal()}),
    )]);
    assert_eq!(days(&lived(&world), "Yes"), [0]);
}

#[test]
fn an_observation_may_be_exactly_a_text() {
    let state = |to: &str, value: Json| {
        let mut state =
            json!({"type": "Observation", "category": "survey", "codes": code("1"), "direct_transition": to});
        state.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        state
    };
    let world = world(&[(
        "m",
        json!({"Initial": initial("A"), "A": state("B", json!({"exact": {"quantity": "Yes"}})),
            "B": state("End", json!({"sampled_data": {"attributes": ["ecg"]}})), "End": terminal()}),
    )]);
    let record = lived(&world).finish();
    assert_eq!(record.observations.len(), 1);
    assert_eq!(record.observations[0].value, ObservationValue::Text("Yes".into()));
}

#[test]
fn the_earliest_death_brings_its_cause_and_is_certified() {
    let die = |days: u32, cause: &str, to: &str| {
        json!({"type": "Death", "exact": {"quantity": days, "unit": "days"},
        "codes": code(cause), "direct_transition": to})
    };
    let world = world(&[(
        "m",
        json!({"Initial": initial("A"), "A": die(100, "1", "B"), "B": die(50, "2", "C"), "C": die(80, "3", "D"),
            "D": terminal()}),
    )]);
    let record = lived(&world).finish();
    let death = record.patient.death.unwrap();
    assert_eq!((day(death), world.library.codes.first(record.patient.death_cause.unwrap()).code.as_str()), (50, "2"));
    let certificate = record.encounters.last().unwrap();
    assert_eq!((certificate.start, certificate.end), (death, death));
    let observation = record.observations.last().unwrap();
    assert_eq!(observation.encounter, Some(record.encounters.len() as u32 - 1));
    let ObservationValue::Code(cause) = observation.value else { panic!("{observation:?}") };
    assert_eq!(world.library.codes.code(cause).code, "2");
    assert_eq!(record.reports.last().unwrap().results, [record.observations.len() as u32 - 1]);
}

#[test]
fn a_symptom_may_have_a_cause_of_its_own() {
    let symptom = |strength: u32, cause: &str, to: &str| {
        json!({"type": "Symptom", "symptom": "pain", "cause": cause,
        "exact": {"quantity": strength}, "direct_transition": to})
    };
    let is =
        |strength: u32| json!({"condition_type": "Symptom", "symptom": "pain", "operator": "==", "value": strength});
    let world = world(&[(
        "m",
        json!({"Initial": initial("A"), "A": symptom(40, "one", "B"), "B": symptom(30, "two", "Low"),
            "Low": symptom(10, "one", "Ask"), "Ask": ask(is(30)), "Yes": terminal(), "No": terminal()}),
    )]);
    // The second cause is the stronger one once the first has abated.
    assert_eq!(days(&lived(&world), "Yes"), [0]);
}
