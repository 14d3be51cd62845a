//! The engine and the reference interpreter give the same records: with the modules that belong to the program and with
//! those of others, all together and one by one, and with random ones.

use chrono::{Days, NaiveDate};

use super::random_module::random_modules;
use super::{Files, assert_same};
use crate::Options;
use crate::engine::other_modules;
use crate::module::{Source, built_in};
use crate::world::World;

/// Lives all modules together, and returns how many states were entered.
fn together(source: &Source, lives: u64) -> usize {
    let world = World::new(&Options { patients: lives, claims: true, ..Options::default() }, source).unwrap();
    let files = Files::new(source, &world.library.codes);
    let paths = world.library.top_level.iter().map(|module| world.library.modules[*module].path.as_str());
    assert!(files.top_level().eq(paths));
    lived(&world, &files, 0..lives)
}

/// Lives with each module as the only one that runs by itself, and returns how many modules there are and how many
/// states were entered.
fn one_by_one(source: &Source, lives: u64) -> (usize, usize) {
    let mut world = World::new(&Options { patients: lives, ..Options::default() }, source).unwrap();
    let files = Files::new(source, &world.library.codes);
    let mut states = 0;
    for module in 0..world.library.modules.len() {
        world.library.top_level = vec![module];
        states += lived(&world, &files, 0..lives);
    }
    (world.library.modules.len(), states)
}

fn lived(world: &World, files: &Files, patients: std::ops::Range<u64>) -> usize {
    let one = |index| {
        let (patient, life) = world.population.person(&world.options, index);
        assert_same(world, files, patient, life).unwrap()
    };
    patients.map(one).sum()
}

#[test]
fn own_modules_together_give_the_same_records() {
    let states = together(&built_in(), 40);
    assert!(states > 50_000, "{states} states");
}

#[test]
fn own_modules_one_by_one_give_the_same_records() {
    let (modules, states) = one_by_one(&built_in(), 10);
    assert!(modules > 20 && states > 10_000, "{modules} modules, {states} states");
}

#[test]
fn modules_of_others_together_give_the_same_records() {
    let Some(source) = other_modules::source("modules_of_others_together_give_the_same_records") else { return };
    let states = together(&source, 10);
    assert!(states > 50_000, "{states} states");
}

#[test]
fn modules_of_others_one_by_one_give_the_same_records() {
    let Some(source) = other_modules::source("modules_of_others_one_by_one_give_the_same_records") else { return };
    let (modules, states) = one_by_one(&source, 3);
    assert!(modules > 200 && states > 50_000, "{modules} modules, {states} states");
}

/// A world of its own for each person; the number of the person says which.
#[test]
fn random_modules_give_the_same_records() {
    let day = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
    let options = Options { end_date: day(2012), ..Options::default() };
    let mut states = 0;
    for number in 0..300 {
        let source = random_modules(number);
        let world = World::new(&options, &source).unwrap();
        let (mut patient, life) = world.population.person(&options, number);
        patient.birth = day(2000) + Days::new(number);
        states += assert_same(&world, &Files::new(&source, &world.library.codes), patient, life).unwrap();
    }
    assert!(states > 50_000, "{states} states");
}
