//! How transitions choose, what they draw, and what has no answer.

use super::*;
use crate::module::Library;

fn with_table(states: Json, table: &str) -> Source {
    let mut source = source(&[("m", states)]);
    source.lookup_tables.insert("t.csv".into(), table.into());
    source
}

fn lookup(before: &str) -> Json {
    let option = |to: &str, default: f64| json!({"transition": to, "default_probability": default, "lookup_table_name": "t.csv"});
    json!({"Initial": initial(before), "Set": set("stage", json!(1), "Look"), "Wait": delay(1500.0, "Look"),
        "Look": {"type": "Simple", "lookup_table_transition": [option("A", 0.0), option("B", 0.0), option("C", 1.0)]},
        "A": terminal(), "B": terminal(), "C": terminal()})
}

fn chosen(states: Json, table: &str) -> &'static str {
    let world = world_of(&with_table(states, table));
    let person = lived(&world);
    let taken: Vec<_> = ["A", "B", "C"].into_iter().filter(|name| !days(&person, name).is_empty()).collect();
    assert_eq!(taken.len(), 1);
    taken[0]
}

#[test]
fn a_lookup_takes_the_row_that_fits() {
    // The columns of states stand in another order than the options.
    assert_eq!(chosen(lookup("Look"), "\u{feff}age,gender,B,A,C\n0-3,M,1,0,0\n0-3,F,0,1,0\n4-9,F,1,0,0\n"), "A");
    assert_eq!(chosen(lookup("Wait"), "age,gender,B,A,C\n0-3,F,0,1,0\n4-9,F,1,0,0\n"), "B");
    assert_eq!(chosen(lookup("Set"), "stage,A,B,C\n1.0,0,1,0\n"), "B");
    assert_eq!(chosen(lookup("Look"), "time,A,B,C\n2000-01-01-2000-01-31,1,0,0\n"), "A");
    // No row fits: the defaults count.
    assert_eq!(chosen(lookup("Look"), "age,A,B,C\n50-60,1,0,0\n"), "C");
    assert_eq!(chosen(lookup("Look"), "stage,A,B,C\n1,1,0,0\n"), "C");
}

#[test]
fn a_broken_table_names_the_state_and_the_line() {
    let message =
        |table: &str| World::new(&Options::default(), &with_table(lookup("Look"), table)).unwrap_err().to_string();
    for (table, expected) in [
        ("age,A,B,D\n0-3,1,0,0\n", "`t.csv` has no column `C`"),
        ("A,B,C\n1,0,0\n", "expected at least one key and 3 states"),
        ("age,A,B,C\nold,1,0,0\n", "line 2: `old` is no range of ages"),
        ("age,A,B,C\n0-3,1,much,0\n", "line 2: `much` is no probability"),
        ("age,A,B,C\n", "has no rows"),
        ("age,A,B,C\n0-3,1,0\n", "is no table"),
    ] {
        let message = message(table);
        assert!(message.contains("module `m`: state `Look`") && message.contains(expected), "{message}");
    }
    let outside = source(&[("m", lookup("Look"))]);
    let message = World::new(&Options::default(), &outside).unwrap_err().to_string();
    assert!(message.contains("there is no file `t.csv`"), "{message}");
}

#[test]
fn what_has_no_answer_is_false_and_counted() {
    let observed = json!({"condition_type": "Observation", "codes": code("1"), "operator": "!=", "value": 1});
    let mixed = json!({"condition_type": "Attribute", "attribute": "x", "operator": "==", "value": 1});
    let world = world(&[(
        "m",
        json!({"Initial": initial("Set"), "Set": set("x", json!("one"), "Ask"),
            "Ask": ask(json!({"condition_type": "Or", "conditions": [observed, mixed]})), "Yes": terminal(), "No": terminal()}),
    )]);
    let person = lived(&world);
    assert_eq!(days(&person, "No"), [0]);
    let told: Vec<String> = person.unanswered.borrow().keys().map(|asked| asked.describe(&world.library)).collect();
    assert_eq!(
        told,
        [
            "module `m`, state `Ask` asks for an observation that was never made",
            "module `m`, state `Ask` compares values of different kinds"
        ]
    );
}

#[test]
fn a_simulation_is_passed_by_the_other_way_and_refused_without_one() {
    let state = |alternative: bool| {
        let mut state = json!({"type": "Physiology", "model": "x.xml", "solver": "rk", "inputs": [], "outputs": [],
            "direct_transition": "No"});
        if alternative {
            state["alt_direct_transition"] = json!("Yes");
        }
        json!({"Initial": initial("Simulate"), "Simulate": state, "Yes": terminal(), "No": terminal()})
    };
    let passed = world(&[("m", state(true))]);
    assert_eq!(days(&lived(&passed), "Yes"), [0]);
    let message = World::new(&Options::default(), &source(&[("m", state(false))])).unwrap_err().to_string();
    assert!(
        message.contains("module `m`: state `Simulate`: field `model`: SBML models are not simulated"),
        "{message}"
    );
}

#[test]
fn care_is_sought_in_three_places() {
    let states = json!({"Initial": initial("Seek"), "Seek": {"type": "Simple", "type_of_care_transition":
        {"ambulatory": "Office", "emergency": "Emergency", "telemedicine": "Phone"}},
        "Office": terminal(), "Emergency": terminal(), "Phone": terminal()});
    let world = world(&[("m", states)]);
    let mut counts = [0, 0, 0];
    for index in 0..400 {
        let (mut patient, life) = world.population.person(&world.options, index);
        patient.birth = BIRTH;
        let mut person = Person::new(&world, patient, life);
        person.step(midnight(BIRTH)).unwrap();
        for (count, name) in counts.iter_mut().zip(["Office", "Emergency", "Phone"]) {
            *count += days(&person, name).len();
        }
    }
    assert_eq!(counts.iter().sum::<usize>(), 400);
    assert!((300..395).contains(&counts[0]) && counts[1] > 20 && counts[2] < 10, "{counts:?}");
}

#[test]
fn the_first_state_of_a_module_has_been_visited() {
    let before = json!({"condition_type": "PriorState", "name": "Initial"});
    assert!(answers(&[], before.clone()));
    let since = json!({"condition_type": "PriorState", "name": "Initial", "since": "Set0"});
    assert!(!answers(&[("x", json!(1))], since));
    let within = json!({"condition_type": "PriorState", "name": "Initial", "within": {"quantity": 1, "unit": "days"}});
    assert!(answers(&[], within));
}

#[test]
fn a_call_is_over_when_its_submodule_is() {
    let visited_within = |count: u32| {
        let before =
            json!({"condition_type": "PriorState", "name": "Call", "within": {"quantity": count, "unit": "days"}});
        let caller = json!({"Initial": initial("Call"),
            "Call": {"type": "CallSubmodule", "submodule": "sub/s", "direct_transition": "Wait"},
            "Wait": delay(5.0, "Ask"), "Ask": ask(before), "Yes": terminal(), "No": terminal()});
        let inner = json!({"Initial": initial("Inner"), "Inner": delay(10.0, "End"), "End": terminal()});
        let world = world(&[("m", caller), ("sub/s", inner)]);
        let person = lived(&world);
        days(&person, "Yes") == [15]
    };
    // The call is over on day 10, and is asked for on day 15.
    assert!(visited_within(6) && !visited_within(5));
}

/// A module that draws again and again, and calls a submodule that draws; its states begin with its name.
fn drawing(name: &str) -> Json {
    let [draw, call, wait] = ["Draw", "Call", "Wait"].map(|state| format!("{name}_{state}"));
    let mut states = json!({"Initial": initial(&draw)});
    states[&draw] = json!({"type": "Simple", "distributed_transition": [
        {"distribution": 0.5, "transition": call}, {"distribution": 0.5, "transition": wait}]});
    states[&call] = json!({"type": "CallSubmodule", "submodule": "sub/s", "direct_transition": wait});
    states[&wait] =
        json!({"type": "Delay", "range": {"low": 1, "high": 60, "unit": "days"}, "direct_transition": draw});
    states
}

#[test]
fn another_module_changes_no_draw_of_this_one() {
    let inner = json!({"Initial": initial("Wait"),
        "Wait": {"type": "Delay", "range": {"low": 1, "high": 9, "unit": "days"}, "distributed_transition": [
            {"distribution": 0.5, "transition": "Inner_A"}, {"distribution": 0.5, "transition": "Inner_B"}]},
        "Inner_A": terminal(), "Inner_B": terminal()});
    let lives = |modules: &[(&str, Json)]| {
        let world = world(modules);
        let own = world.library.top_level.iter().position(|module| world.library.modules[*module].path == "m").unwrap();
        let person = lived(&world);
        (person.cursors[own].states_run, person.trace)
    };
    let alone = lives(&[("m", drawing("m")), ("sub/s", inner.clone())]);
    let joined = lives(&[("a", drawing("a")), ("m", drawing("m")), ("sub/s", inner), ("z", drawing("z"))]);
    assert_eq!(alone.0, joined.0);
    let own = |(_, trace): &(u64, Vec<(String, Moment)>)| -> Vec<(String, Moment)> {
        trace.iter().filter(|(name, _)| name.starts_with("m_")).cloned().collect()
    };
    assert!(own(&alone).len() > 100);
    assert_eq!(own(&alone), own(&joined));
    assert!(joined.1.len() > 2 * alone.1.len());
}

#[test]
fn visits_of_another_module_change_no_time_of_day_of_this_one() {
    let visits = |first: f64, kind: &str| {
        let mut visit = visit("Close");
        visit["codes"] = code(kind);
        json!({"Initial": initial("Wait"), "Wait": delay(first, "Visit"), "Visit": visit,
            "Close": {"type": "EncounterEnd", "direct_transition": "Rest"}, "Rest": delay(70.0, "Visit")})
    };
    let own = |modules: &[(&str, Json)]| -> Vec<(Moment, Moment)> {
        let world = world(modules);
        let visits = lived(&world).finish().encounters;
        let own = visits.iter().filter(|visit| world.library.codes.first(visit.codes).code == "1");
        own.map(|visit| (visit.start, visit.end)).collect()
    };
    // Weeks lie between the visits of the two: neither waits for the other.
    let alone = own(&[("m", visits(14.0, "1"))]);
    let joined = own(&[("a", visits(42.0, "2")), ("m", visits(14.0, "1"))]);
    assert!(alone.len() > 40, "{}", alone.len());
    assert_eq!(alone, joined);
}

#[test]
fn what_the_host_promises_it_sets() {
    let promised = crate::host::HOST_ATTRIBUTES;
    let test = |name: &&str| json!({"condition_type": "Attribute", "attribute": name, "operator": "is nil"});
    let all: Vec<Json> = promised.iter().map(test).collect();
    let states = json!({"Initial": initial("Ask"), "Ask": ask(json!({"condition_type": "Or", "conditions": all})),
        "Yes": terminal(), "No": terminal()});
    let world = World::new(&Options { patients: 200, ..Options::default() }, &source(&[("m", states)])).unwrap();
    let mut missing: Vec<&str> = promised.to_vec();
    for index in 0..200 {
        let (patient, mut life) = world.population.person(&world.options, index);
        life.death = Some(midnight(world.options.end_date) - DAY);
        let mut person = Person::new(&world, patient, life);
        person.live().unwrap();
        missing.retain(|name| *attribute(&person, name) == Value::Nil);
        for risk in ["mi_risk", "ihd_risk", "stroke_risk", "atrial_fibrillation_risk"] {
            let Value::Number(risk) = attribute(&person, risk) else { panic!("{risk}") };
            assert!((0.0..0.05).contains(risk), "{risk}");
        }
    }
    // Percentiles of children are cleared when they grow up, and some of these are children.
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn numbers_beyond_all_bounds_are_refused_or_harmless() {
    let load = |state: Json| {
        let states = json!({"Initial": initial("X"), "X": state, "End": terminal()});
        Library::compile(&source(&[("m", states)])).map(|_| ()).map_err(|error| error.to_string())
    };
    let delay = |quantity: f64| json!({"type": "Delay", "exact": {"quantity": quantity, "unit": "years"}, "direct_transition": "End"});
    assert!(load(delay(1e300)).unwrap_err().contains("state `X`: field `exact.quantity`: 1e300 is out of all bounds"));
    let images = |series: u32, instances: f64| {
        json!({"type": "ImagingStudy", "procedure_code": code("1")[0], "series": [{"body_site": code("1")[0],
        "modality": code("1")[0], "instances": [{"title": "x", "sop_class": code("1")[0]}],
        "min_number_instances": 1, "max_number_instances": instances}],
        "min_number_series": 1, "max_number_series": series, "direct_transition": "End"})
    };
    let message = load(images(1, 1e9)).unwrap_err();
    assert!(message.contains("field `series[0].max_number_instances`: 1000000000 is no count"), "{message}");
    let message = load(images(101, 100.0)).unwrap_err();
    assert!(message.contains("field `series`: asks for up to 10100 images"), "{message}");
    assert!(load(images(100, 100.0)).is_ok());
    let age = json!({"condition_type": "Age", "operator": ">=", "quantity": 1e14, "unit": "years"});
    let world = world(&[
        ("a", json!({"Initial": initial("X"), "X": delay(1e14), "End": terminal()})),
        (
            "b",
            json!({"Initial": initial("X"), "X": {"type": "Guard", "allow": age, "direct_transition": "End"}, "End": terminal()}),
        ),
        (
            "c",
            json!({"Initial": initial("X"), "X": {"type": "Procedure", "codes": code("1"),
                "duration": {"low": 1e14, "high": 1e14, "unit": "years"}, "direct_transition": "End"}, "End": terminal()}),
        ),
    ]);
    assert!(days(&lived(&world), "End").is_empty());
}
