//! Semantics of the format, rule by rule: tiny modules with traces written by hand. Moments are days since birth, and
//! birth is a Monday, so that the grid is 0, 7, 14, …; the host's own first visit is on day 0. The reference interpreter
//! must agree about each of them.

mod choice;
mod entry;

use chrono::NaiveDate;
use serde_json::{Value as Json, json};

use super::person::{Person, Value};
use super::reference::{self, Files};
use crate::module::Source;
use crate::moment::{DAY, Moment, date, midnight};
use crate::population::Life;
use crate::record::Patient;
use crate::world::World;
use crate::{Error, Options};

const BIRTH: NaiveDate = NaiveDate::from_ymd_opt(2000, 1, 3).unwrap();

fn source(modules: &[(&str, Json)]) -> Source {
    let module = |states: &Json| serde_json::to_vec(&json!({"name": "test", "states": states})).unwrap();
    let modules = modules.iter().map(|(path, states)| ((*path).to_owned(), module(states))).collect();
    Source { modules, ..Source::default() }
}

fn world(modules: &[(&str, Json)]) -> World {
    world_of(&source(modules))
}

/// A world in which the reference interpreter has lived the same life as the engine.
fn world_of(source: &Source) -> World {
    let options = Options { end_date: NaiveDate::from_ymd_opt(2010, 1, 1).unwrap(), ..Options::default() };
    let world = World::new(&options, source).unwrap();
    let (patient, life) = newborn(&world);
    let lived = reference::assert_same(&world, &Files::new(source, &world.library.codes), patient, life);
    assert!(matches!(lived, Ok(_) | Err(Error::Endless { .. })));
    world
}

fn newborn(world: &World) -> (Patient, Life) {
    let (mut patient, mut life) = world.population.person(&world.options, 0);
    patient.birth = BIRTH;
    patient.female = true;
    life.death = None;
    (patient, life)
}

fn born(world: &World) -> Person<'_> {
    let (patient, life) = newborn(world);
    Person::new(world, patient, life)
}

fn lived(world: &World) -> Person<'_> {
    let mut person = born(world);
    person.live().unwrap();
    person
}

/// The day on which each state of that name was entered.
fn days(person: &Person<'_>, state: &str) -> Vec<i64> {
    let birth = midnight(BIRTH);
    person.trace.iter().filter(|(name, _)| name == state).map(|(_, time)| (time - birth) / DAY).collect()
}

fn day(moment: Moment) -> i64 {
    i64::from(date(moment).to_epoch_days() - BIRTH.to_epoch_days())
}

fn attribute<'a>(person: &'a Person<'_>, name: &str) -> &'a Value {
    person.world.attribute(&person.attributes, name)
}

fn delay(count: f64, to: &str) -> Json {
    json!({"type": "Delay", "exact": {"quantity": count, "unit": "days"}, "direct_transition": to})
}

fn simple(to: &str) -> Json {
    json!({"type": "Simple", "direct_transition": to})
}

fn initial(to: &str) -> Json {
    json!({"type": "Initial", "direct_transition": to})
}

fn code(code: &str) -> Json {
    json!([{"system": "SNOMED-CT", "code": code, "display": "x"}])
}

fn terminal() -> Json {
    json!({"type": "Terminal"})
}

fn set(name: &str, value: Json, to: &str) -> Json {
    json!({"type": "SetAttribute", "attribute": name, "value": value, "direct_transition": to})
}

fn visit(to: &str) -> Json {
    json!({"type": "Encounter", "encounter_class": "ambulatory", "codes": code("185345009"), "direct_transition": to})
}

/// A state that goes to `Yes` when the condition holds, else to `No`.
fn ask(condition: Json) -> Json {
    json!({"type": "Simple", "conditional_transition": [
        {"condition": condition, "transition": "Yes"}, {"transition": "No"}]})
}

fn answers(before: &[(&str, Json)], condition: Json) -> bool {
    let mut states = json!({"Initial": initial("Ask"), "Ask": ask(condition), "Yes": terminal(), "No": terminal()});
    let mut next = "Ask".to_owned();
    for (index, (name, value)) in before.iter().enumerate().rev() {
        let state = format!("Set{index}");
        states[&state] = set(name, value.clone(), &next);
        next = state;
    }
    states["Initial"] = initial(&next);
    let world = world(&[("m", states)]);
    let person = lived(&world);
    !days(&person, "Yes").is_empty()
}

#[test]
fn what_ends_between_steps_lets_the_next_run_at_that_moment() {
    let world = world(&[(
        "m",
        json!({
            "Initial": initial("Wait"), "Wait": delay(10.0, "A"), "A": simple("Short"), "Short": delay(2.0, "B"),
            "B": simple("Long"), "Long": delay(7.0, "C"), "C": terminal()
        }),
    )]);
    let person = lived(&world);
    assert_eq!(days(&person, "A"), [10]);
    assert_eq!(days(&person, "B"), [12]);
    assert_eq!(days(&person, "C"), [19]);
}

#[test]
fn a_guard_is_asked_on_the_grid_only() {
    let age = json!({"condition_type": "Age", "operator": ">=", "quantity": 1, "unit": "years"});
    let world = world(&[(
        "m",
        json!({
            "Initial": initial("Guard"), "Guard": {"type": "Guard", "allow": age, "direct_transition": "A"}, "A": terminal()
        }),
    )]);
    // The birthday is day 366; the first step after it is day 371.
    assert_eq!(days(&lived(&world), "A"), [371]);
}

#[test]
fn a_guard_waits_for_another_module() {
    let flag = json!({"condition_type": "Attribute", "attribute": "flag", "operator": "==", "value": true});
    let guard = json!({"Initial": initial("Guard"),
        "Guard": {"type": "Guard", "allow": flag, "direct_transition": "Seen"}, "Seen": terminal()});
    let setter = json!({"Initial": initial("Wait"), "Wait": delay(10.0, "Set"), "Set": set("flag", json!(true), "End"),
        "End": terminal()});
    // The setter runs at day 14. A guard of a later module sees it in the same step, one of an earlier module does not.
    let later = world(&[("a", setter.clone()), ("b", guard.clone())]);
    assert_eq!(days(&lived(&later), "Seen"), [14]);
    let earlier = world(&[("b", setter), ("a", guard)]);
    assert_eq!(days(&lived(&earlier), "Seen"), [21]);
}

#[test]
fn one_encounter_is_open_at_a_time() {
    let first = json!({"Initial": initial("Visit_A"), "Visit_A": visit("Stay"), "Stay": delay(10.0, "End_A"),
        "End_A": {"type": "EncounterEnd", "direct_transition": "After_A"}, "After_A": terminal()});
    let second = json!({"Initial": initial("Visit_B"), "Visit_B": visit("During_B"), "During_B": simple("End_B"),
        "End_B": {"type": "EncounterEnd", "direct_transition": "After_B"}, "After_B": terminal()});
    let world = world(&[("a", first), ("b", second)]);
    let person = lived(&world);
    // On day 0 the host has a visit open.
    assert_eq!(days(&person, "Stay"), [7]);
    assert_eq!(days(&person, "After_A"), [17]);
    assert_eq!(days(&person, "During_B"), [21]);
    assert_eq!(days(&person, "After_B"), [21]);
}

#[test]
fn a_second_encounter_of_a_module_closes_its_first() {
    let world = world(&[(
        "a",
        json!({"Initial": initial("One"), "One": visit("Wait"), "Wait": delay(3.0, "Two"),
        "Two": visit("End"), "End": terminal()}),
    )]);
    let mut person = lived(&world);
    assert!(person.open.is_none());
    let record = person.finish();
    let own: Vec<i64> =
        record.encounters.iter().map(|encounter| day(encounter.start)).filter(|day| *day < 30).collect();
    assert_eq!(own, [0, 7, 10]);
}

#[test]
fn a_wellness_visit_is_used_once_by_each_module() {
    let looping = json!({"Initial": initial("Visit"),
        "Visit": {"type": "Encounter", "wellness": true, "direct_transition": "Count"},
        "Count": {"type": "Counter", "attribute": "visits", "action": "increment", "direct_transition": "End"},
        "End": {"type": "EncounterEnd", "direct_transition": "Visit"}});
    let world = world(&[("a", looping.clone()), ("b", looping)]);
    let mut person = lived(&world);
    let Value::Number(visits) = *attribute(&person, "visits") else { panic!("no visits") };
    let record = person.finish();
    assert_eq!(visits as usize, 2 * record.encounters.len());
    assert!(record.encounters.len() > 10);
}

#[test]
fn a_condition_is_diagnosed_at_its_target() {
    let world = world(&[(
        "m",
        json!({"Initial": initial("Wait"), "Wait": delay(10.0, "Onset"),
            "Onset": {"type": "ConditionOnset", "target_encounter": "Visit", "assign_to_attribute": "it",
                "codes": code("38341003"), "direct_transition": "More"},
            "More": delay(20.0, "Active"),
            "Active": {"type": "Simple", "conditional_transition": [
                {"condition": {"condition_type": "Active Condition", "codes": code("38341003")}, "transition": "Known"},
                {"transition": "Visit"}]},
            "Known": simple("Visit"),
            "Visit": visit("Ask"),
            "Ask": {"type": "Simple", "conditional_transition": [
                {"condition": {"condition_type": "Active Condition", "referenced_by_attribute": "it"}, "transition": "Yes"},
                {"transition": "Close"}]},
            "Yes": simple("Close"),
            "Close": {"type": "EncounterEnd", "direct_transition": "Later"},
            "Later": delay(50.0, "End"),
            "End": {"type": "ConditionEnd", "referenced_by_attribute": "it", "direct_transition": "Over"},
            "Over": terminal()
        }),
    )]);
    let mut person = lived(&world);
    assert!(days(&person, "Known").is_empty());
    assert_eq!(days(&person, "Yes").len(), 1);
    let record = person.finish();
    let condition = &record.conditions[0];
    assert_eq!(record.conditions.len(), 1);
    assert_eq!(day(condition.onset), 10);
    assert!(day(condition.recorded) >= 30);
    let encounter = &record.encounters[condition.encounter.unwrap() as usize];
    assert_eq!(condition.recorded, encounter.start);
    assert!(condition.abatement.unwrap() > condition.recorded);
    assert!(!condition.problem);
}

#[test]
fn a_condition_that_is_active_does_not_begin_again() {
    let onset = |to: &str| json!({"type": "ConditionOnset", "codes": code("38341003"), "direct_transition": to});
    let world = world(&[(
        "m",
        json!({"Initial": initial("A"), "A": onset("B"), "B": onset("End"),
        "End": {"type": "ConditionEnd", "condition_onset": "B", "direct_transition": "Over"}, "Over": terminal()}),
    )]);
    let record = lived(&world).finish();
    assert_eq!(record.conditions.len(), 1);
    assert!(record.conditions[0].abatement.is_some());
}

#[test]
fn a_submodule_sees_only_its_own_history_and_leaves_it_to_the_caller() {
    let before = |name: &str| json!({"condition_type": "PriorState", "name": name});
    let caller = json!({"Initial": initial("Mark"), "Mark": simple("Call"),
        "Call": {"type": "CallSubmodule", "submodule": "sub/inner", "direct_transition": "Ask"},
        "Ask": ask(before("Inner_Mark")), "Yes": terminal(), "No": terminal()});
    let inner = json!({"Initial": initial("Inner_Mark"), "Inner_Mark": delay(3.0, "Inner_Ask"),
        "Inner_Ask": {"type": "Simple", "conditional_transition": [
            {"condition": before("Mark"), "transition": "Leak"}, {"transition": "Tight"}]},
        "Leak": simple("Done"), "Tight": simple("Done"), "Done": terminal()});
    let world = world(&[("m", caller), ("sub/inner", inner)]);
    let person = lived(&world);
    assert!(days(&person, "Leak").is_empty());
    // The call ends when the submodule does, between two steps.
    assert_eq!(days(&person, "Tight"), [3]);
    assert_eq!(days(&person, "Ask"), [3]);
    assert_eq!(days(&person, "Yes").len(), 1);
}

#[test]
fn prior_states_know_since_and_within() {
    let ask_after = |wait: f64, condition: Json| {
        let world = world(&[(
            "m",
            json!({"Initial": initial("Mark"), "Mark": simple("Reset"), "Reset": simple("Again"),
            "Again": simple("Wait"), "Wait": delay(wait, "Ask"), "Ask": ask(condition), "Yes": terminal(),
            "No": terminal()}),
        )]);
        let person = lived(&world);
        !days(&person, "Yes").is_empty()
    };
    let within = |count: u32| json!({"quantity": count, "unit": "days"});
    assert!(ask_after(10.0, json!({"condition_type": "PriorState", "name": "Mark"})));
    assert!(ask_after(10.0, json!({"condition_type": "PriorState", "name": "Mark", "within": within(11)})));
    assert!(!ask_after(10.0, json!({"condition_type": "PriorState", "name": "Mark", "within": within(10)})));
    assert!(!ask_after(10.0, json!({"condition_type": "PriorState", "name": "Mark", "since": "Reset"})));
    assert!(ask_after(10.0, json!({"condition_type": "PriorState", "name": "Again", "since": "Reset"})));
    assert!(!ask_after(10.0, json!({"condition_type": "PriorState", "name": "Yes"})));
}

#[test]
fn what_is_absent_compares_false() {
    let attribute = |operator: &str, value: Json| json!({"condition_type": "Attribute", "attribute": "x", "operator": operator, "value": value});
    for operator in ["==", "!=", "<", "<=", ">", ">="] {
        assert!(!answers(&[], attribute(operator, json!(1))), "{operator}");
    }
    assert!(answers(&[], json!({"condition_type": "Attribute", "attribute": "x", "operator": "is nil"})));
    assert!(!answers(&[], json!({"condition_type": "Attribute", "attribute": "x", "operator": "is not nil"})));
    assert!(answers(&[("x", json!(2))], attribute("!=", json!(1))));
    assert!(answers(&[("x", json!(2))], attribute(">=", json!(2.0))));
    assert!(answers(&[("x", json!("a"))], attribute("==", json!("a"))));
    // Numbers and texts do not compare.
    assert!(!answers(&[("x", json!("1"))], attribute("!=", json!(1))));
    // For booleans every operator but equality means inequality.
    assert!(answers(&[("x", json!(true))], attribute("<", json!(false))));
    assert!(!answers(&[("x", json!(true))], attribute(">=", json!(true))));
}

#[test]
fn conditions_combine() {
    let yes = json!({"condition_type": "True"});
    let no = json!({"condition_type": "False"});
    let with = |kind: &str| json!({"condition_type": kind, "conditions": [yes, no, yes]});
    assert!(!answers(&[], with("And")));
    assert!(answers(&[], with("Or")));
    let mut two = with("At Least");
    two["minimum"] = json!(2);
    assert!(answers(&[], two.clone()));
    two["minimum"] = json!(3);
    assert!(!answers(&[], two));
    let mut most = with("At Most");
    most["maximum"] = json!(1);
    assert!(!answers(&[], most));
    assert!(answers(&[], json!({"condition_type": "Not", "condition": no})));
    assert!(answers(&[], json!({"condition_type": "Gender", "gender": "F"})));
    assert!(answers(&[], json!({"condition_type": "Date", "operator": "==", "year": 2000})));
    assert!(answers(
        &[],
        json!({"condition_type": "Date", "operator": "<", "date": {"year": 2000, "month": 2, "day": 1}})
    ));
}

#[test]
fn what_falls_through_goes_to_the_last_option() {
    let world = world(&[(
        "m",
        json!({"Initial": initial("Draw"),
        "Draw": {"type": "Simple", "distributed_transition": [
            {"distribution": 0, "transition": "A"}, {"distribution": 0, "transition": "B"}]},
        "A": terminal(),
        "B": {"type": "Simple", "conditional_transition": [
            {"condition": {"condition_type": "False"}, "transition": "A"},
            {"condition": {"condition_type": "False"}, "transition": "C"}]},
        "C": {"type": "Simple", "complex_transition": [
            {"condition": {"condition_type": "False"}, "transition": "A"},
            {"condition": {"condition_type": "False"},
             "distributions": [{"distribution": 1, "transition": "D"}, {"distribution": 0, "transition": "A"}]}]},
        "D": terminal()}),
    )]);
    let person = lived(&world);
    assert!(days(&person, "A").is_empty());
    assert_eq!(days(&person, "D"), [0]);
}

#[test]
fn a_probability_may_be_an_attribute() {
    let states = |before: &str| {
        json!({"Initial": initial(before), "Set": set("p", json!(1), "Draw"),
        "Draw": {"type": "Simple", "distributed_transition": [
            {"distribution": {"attribute": "p", "default": 0}, "transition": "A"},
            {"distribution": {"attribute": "q", "default": 1}, "transition": "B"}]},
        "A": terminal(), "B": terminal()})
    };
    let set_first = world(&[("m", states("Set"))]);
    assert_eq!(days(&lived(&set_first), "A"), [0]);
    let default = world(&[("m", states("Draw"))]);
    assert_eq!(days(&lived(&default), "B"), [0]);
}

#[test]
fn nothing_happens_after_death() {
    let dying = json!({"Initial": initial("Wait"), "Wait": delay(9.0, "Die"),
        "Die": {"type": "Death", "exact": {"quantity": 6, "unit": "days"}, "direct_transition": "Plan"},
        "Plan": delay(5.0, "Still"), "Still": simple("Late"), "Late": delay(2.0, "Never"), "Never": terminal()});
    let world = world(&[("m", dying)]);
    let mut person = lived(&world);
    assert_eq!(days(&person, "Still"), [14]);
    assert!(days(&person, "Never").is_empty());
    let record = person.finish();
    assert_eq!(day(record.patient.death.unwrap()), 15);
    assert!(record.encounters.iter().all(|encounter| encounter.end <= record.patient.death.unwrap()));
}

#[test]
fn the_earliest_death_counts() {
    let die = |days: u32, to: &str| json!({"type": "Death", "exact": {"quantity": days, "unit": "days"}, "direct_transition": to});
    let world = world(&[(
        "m",
        json!({"Initial": initial("A"), "A": die(100, "B"), "B": die(50, "C"), "C": die(80, "D"),
        "D": terminal()}),
    )]);
    assert_eq!(day(lived(&world).finish().patient.death.unwrap()), 50);
}

#[test]
fn long_term_medication_is_renewed_at_wellness_visits() {
    let world = world(&[
        (
            "a",
            json!({"Initial": initial("Order"),
        "Order": {"type": "MedicationOrder", "chronic": true, "assign_to_attribute": "drug",
            "codes": [{"system": "RxNorm", "code": "0", "display": "x"}], "direct_transition": "Visit"},
        "Visit": {"type": "Encounter", "wellness": true, "direct_transition": "Close"},
        "Close": {"type": "EncounterEnd", "direct_transition": "Visit"}}),
        ),
        (
            "b",
            json!({"Initial": initial("Wait"), "Wait": delay(400.0, "Stop"),
        "Stop": {"type": "MedicationEnd", "referenced_by_attribute": "drug", "direct_transition": "End"},
        "End": terminal()}),
        ),
    ]);
    let record = lived(&world).finish();
    let visits = record.encounters.iter().filter(|encounter| day(encounter.start) < 400).count();
    // One order by the module itself, and one per visit.
    assert_eq!(record.medications.len(), 1 + visits);
    assert!(record.medications.iter().all(|order| order.end.is_some()));
    assert!(record.medications.windows(2).all(|pair| pair[0].end == Some(pair[1].start)));
    assert_eq!(day(record.medications.last().unwrap().end.unwrap()), 400);
}

#[test]
fn strong_symptoms_bring_a_visit_once() {
    let symptom = |name: &str, to: &str| json!({"type": "Symptom", "symptom": name, "exact": {"quantity": 90}, "direct_transition": to});
    let world = world(&[(
        "m",
        json!({"Initial": initial("Wait"), "Wait": delay(8.0, "A"), "A": symptom("a", "B"),
        "B": symptom("b", "C"), "C": symptom("c", "D"), "D": symptom("d", "End"), "End": terminal()}),
    )]);
    let record = lived(&world).finish();
    let days: Vec<i64> = record.encounters.iter().map(|encounter| day(encounter.start)).take(3).collect();
    assert_eq!(days, [0, 21, 35]);
}

#[test]
fn what_a_constraint_forbids_is_not_written_but_counted() {
    let insulin = json!({"type": "MedicationOrder", "codes": [{"system": "RxNorm", "code": "106892", "display": "insulin"}],
        "direct_transition": "High"});
    let world = world(&[(
        "m",
        json!({"Initial": initial("Insulin"), "Insulin": insulin,
        "High": {"type": "Observation", "category": "laboratory", "unit": "%",
            "codes": [{"system": "LOINC", "code": "4548-4", "display": "HbA1c"}],
            "exact": {"quantity": 55}, "direct_transition": "End"},
        "End": terminal()}),
    )]);
    let mut person = lived(&world);
    let record = person.finish();
    assert!(record.medications.is_empty());
    assert_eq!(person.enforced["insulin_needs_diabetes"], 1);
    assert_eq!(person.enforced["value clamped"], 1);
    assert_eq!(record.observations[0].value, crate::record::ObservationValue::Quantity(20.0, Some("%".into())));
}

#[test]
fn an_endless_loop_is_named() {
    let choose = json!({"type": "Simple", "distributed_transition": [{"distribution": 1, "transition": "A"}]});
    let world = world(&[("m", json!({"Initial": initial("A"), "A": simple("B"), "B": choose}))]);
    let error = born(&world).live().unwrap_err().to_string();
    assert!(error.starts_with("module `m`, state `") && error.contains("has run 10000 states in one step"), "{error}");
}

#[test]
fn submodules_that_call_each_other_without_end_are_named() {
    let call = |name: &str| {
        json!({"Initial": initial("Call"),
        "Call": {"type": "CallSubmodule", "submodule": name, "direct_transition": "End"}, "End": terminal()})
    };
    let world = world(&[("m", call("sub/a")), ("sub/a", call("sub/b")), ("sub/b", call("sub/a"))]);
    let error = born(&world).live().unwrap_err().to_string();
    assert!(error.contains("calls submodules more than 32 deep"), "{error}");
}

#[test]
fn a_life_of_too_many_states_is_named() {
    let again =
        |day: &str| json!({"type": "Delay", "exact": {"quantity": 1, "unit": "minutes"}, "direct_transition": day});
    let world = world(&[("m", json!({"Initial": initial("A"), "A": again("B"), "B": again("A")}))]);
    let error = born(&world).live().unwrap_err().to_string();
    assert!(error.contains("state") && error.contains("10000 states in one step"), "{error}");
    let short =
        |to: &str| json!({"type": "Delay", "exact": {"quantity": 3, "unit": "minutes"}, "direct_transition": to});
    let world = self::world(&[("m", json!({"Initial": initial("A"), "A": short("B"), "B": short("A")}))]);
    let error = born(&world).live().unwrap_err().to_string();
    assert!(error.contains("has run 1000000 states in one life"), "{error}");
}

#[test]
fn broken_modules_name_file_state_and_field() {
    let wrong = |states: Json| match World::new(&Options::default(), &source(&[("m", states)])) {
        Err(error @ Error::Module { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let with = |state: Json| wrong(json!({"Initial": initial("X"), "X": state, "End": terminal()}));
    for (state, expected) in [
        (json!({"type": "Wait", "direct_transition": "End"}), "state `X`: field `type`: `Wait` is no state type"),
        (json!({"type": "Device", "direct_transition": "End"}), "field `code`: is missing"),
        (json!({"type": "Simple"}), "field `direct_transition`: is missing"),
        (json!({"type": "Simple", "direct_transition": "Nowhere"}), "there is no state `Nowhere`"),
        (
            json!({"type": "SetAttribute", "attribute": "x", "expression": "1 + 1", "direct_transition": "End"}),
            "state `X`: field `expression`: CQL expressions are not supported",
        ),
        (
            json!({"type": "Simple", "direct_transition": "End", "distributed_transition": []}),
            "field `distributed_transition`: stands beside `direct_transition`",
        ),
        (
            json!({"type": "CallSubmodule", "submodule": "../../etc/passwd", "direct_transition": "End"}),
            "there is no module",
        ),
        (
            json!({"type": "ConditionOnset", "codes": [{"system": "SNOMED-CT", "display": "x", "value_set": "http://v"}],
                "direct_transition": "End"}),
            "field `codes[0].code`: is missing, and the value set `http://v` is not expanded",
        ),
        (
            json!({"type": "ConditionOnset", "codes": code("1"), "target_encounter": "Nowhere", "direct_transition": "End"}),
            "field `target_encounter`: no module has a state `Nowhere`",
        ),
        (json!({"type": "Simple", "direct_transition": "End", "colour": 1}), "field `colour`"),
        (
            json!({"type": "Delay", "exact": {"quantity": "2", "unit": "days"}, "direct_transition": "End"}),
            "field `exact.quantity`: expected a number, found a text",
        ),
        (json!({"type": "Delay", "exact": {"quantity": 2, "unit": "moons"}, "direct_transition": "End"}), "`moons`"),
        (
            ask((0..200).fold(
                json!({"condition_type": "True"}),
                |inner, _| json!({"condition_type": "Not", "condition": inner}),
            )),
            "is not valid JSON: recursion limit exceeded",
        ),
        (ask(json!({"condition_type": "Weather"})), "`Weather` is no known condition"),
        (
            json!({"type": "Guard", "allow": {"condition_type": "PriorState", "name": "Typo"}, "direct_transition": "End"}),
            "no module has a state `Typo`",
        ),
        (
            json!({"type": "CallSubmodule", "submodule": "none", "direct_transition": "End"}),
            "there is no module `none`",
        ),
        (
            json!({"type": "Observation", "codes": code("1"), "vital_sign": "Charm", "direct_transition": "End"}),
            "`Charm`",
        ),
    ] {
        let state = if state["conditional_transition"].is_array() {
            let mut state = state;
            state["conditional_transition"][0]["transition"] = json!("End");
            state["conditional_transition"][1]["transition"] = json!("End");
            state
        } else {
            state
        };
        let message = with(state);
        assert!(message.contains("module `m`") && message.contains(expected), "{message}");
    }
}
