//! Lives one life in both engines and says where they differ first.

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::{Files, Interpreter};
use crate::Error;
use crate::engine::person::Person;
use crate::module::Codes;
use crate::moment::{Moment, local};
use crate::population::Life;
use crate::record::{Patient, Record};
use crate::world::World;

/// Asserts that both engines give the same life: states, record, enforced constraints and unanswered questions. Returns
/// how many states were entered.
///
/// # Errors
/// When a module runs in circles; the reference interpreter is not asked then.
pub fn assert_same(world: &World, files: &Files, patient: Patient, life: Life) -> Result<usize, Error> {
    let mut person = Person::new(world, patient.clone(), life.clone());
    person.live()?;
    let index = patient.index;
    let mut reference = Interpreter::new(world, files, patient, life);
    reference.live();
    reference.finish();
    let record = person.finish();
    let differences = [
        trace_difference(&person.trace, &reference),
        record_difference(&record, &reference.record, &world.library.codes),
        difference("constraint", &person.enforced, &reference.enforced, |_| String::new()),
        unanswered_difference(&person, &reference),
    ];
    let differences: Vec<String> = differences.into_iter().flatten().collect();
    if !differences.is_empty() {
        let modules: Vec<&str> = reference.modules.iter().map(|module| module.path()).collect();
        panic!("patient {index}, module {}:\n{}", modules.join(", "), differences.join("\n"));
    }
    Ok(reference.trace.len())
}

/// The trace of the engine has no modules: that of the reference says which one it is about.
fn trace_difference(engine: &[(String, Moment)], reference: &Interpreter<'_>) -> Option<String> {
    let same = |((state, time), (_, other, moment)): &(&(String, Moment), &(&str, &str, Moment))| {
        (state.as_str(), time) == (*other, moment)
    };
    let place = engine.iter().zip(&reference.trace).take_while(same).count();
    let engine = engine.get(place).map(|(state, time)| (state.as_str(), local(*time)));
    let reference = reference.trace.get(place).map(|(path, state, time)| (*path, *state, local(*time)));
    match (engine, reference) {
        (None, None) => None,
        _ => Some(format!("state {place}\n  engine:    {engine:?}\n  reference: {reference:?}")),
    }
}

fn unanswered_difference(person: &Person<'_>, reference: &Interpreter<'_>) -> Option<String> {
    let modules = &person.world.library.modules;
    let mut engine = BTreeMap::new();
    for (asked, count) in person.unanswered.borrow().iter() {
        let module = &modules[asked.module];
        engine.insert((module.path.clone(), module.states[asked.state].name.clone(), asked.question), *count);
    }
    difference("question", &engine, &reference.unanswered, |_| String::new())
}

/// Compares every field of every entry. Rust writes a number so that it can be read back as itself, which makes equal
/// texts equal bits.
fn record_difference(engine: &Record, reference: &Record, codes: &Codes) -> Option<String> {
    let Record {
        patient,
        encounters,
        conditions,
        allergies,
        medications,
        procedures,
        observations,
        reports,
        immunizations,
        care_plans,
        administrations,
        devices,
        supplies,
        imaging_studies,
        coverages,
        blemishes,
    } = engine;
    let name = |list: u32| codes.first(list).display.clone();
    let kinds = [
        difference("patient", [patient], [&reference.patient], |_| String::new()),
        difference("encounter", encounters, &reference.encounters, |it| name(it.codes)),
        difference("condition", conditions, &reference.conditions, |it| name(it.codes)),
        difference("allergy", allergies, &reference.allergies, |it| name(it.codes)),
        difference("medication", medications, &reference.medications, |it| name(it.codes)),
        difference("procedure", procedures, &reference.procedures, |it| name(it.codes)),
        difference("observation", observations, &reference.observations, |it| name(it.codes)),
        difference("report", reports, &reference.reports, |it| name(it.codes)),
        difference("immunization", immunizations, &reference.immunizations, |it| name(it.codes)),
        difference("care plan", care_plans, &reference.care_plans, |it| name(it.codes)),
        difference("administration", administrations, &reference.administrations, |it| name(it.codes)),
        difference("device", devices, &reference.devices, |it| name(it.codes)),
        difference("supply", supplies, &reference.supplies, |it| name(it.codes)),
        difference("imaging study", imaging_studies, &reference.imaging_studies, |it| name(it.codes)),
        difference("coverage", coverages, &reference.coverages, |_| String::new()),
        difference("blemishes", [blemishes], [&reference.blemishes], |_| String::new()),
    ];
    kinds.into_iter().flatten().next()
}

/// The first place in which two lists are not the same; `describe` says what an entry is about.
fn difference<T: Debug>(
    kind: &str,
    engine: impl IntoIterator<Item = T>,
    reference: impl IntoIterator<Item = T>,
    describe: impl Fn(&T) -> String,
) -> Option<String> {
    let (mut engine, mut reference) = (engine.into_iter(), reference.into_iter());
    for place in 0.. {
        let [engine, reference] = [engine.next(), reference.next()];
        if engine.is_none() && reference.is_none() {
            break;
        }
        if format!("{engine:?}") != format!("{reference:?}") {
            let [engine, reference] = [engine, reference].map(|entry| {
                let about = entry.as_ref().map_or_else(String::new, &describe);
                format!("{entry:?} {about}")
            });
            return Some(format!("{kind} {place}\n  engine:    {engine}\n  reference: {reference}"));
        }
    }
    None
}
