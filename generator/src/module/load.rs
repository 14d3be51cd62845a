//! Makes a [`Library`] of module files.

use std::collections::{BTreeMap, HashMap};

use include_dir::{Dir, DirEntry, include_dir};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::bind::{Binder, Needs};
use super::field::{Fields, Notes};
use super::override_file::Override;
use super::{Interner, Kind, Library, Module, State, Transition};
use crate::Error;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/modules");

/// Files that modules are made of.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Module files by path without `.json`.
    pub modules: BTreeMap<String, Vec<u8>>,
    /// Lookup tables by file name.
    pub lookup_tables: BTreeMap<String, Vec<u8>>,
    /// Numbers to replace.
    pub overrides: Vec<Override>,
}

/// The modules that belong to the program.
pub fn built_in() -> Source {
    let mut source = Source::default();
    collect(&BUILT_IN, &mut source);
    source
}

fn collect(folder: &Dir<'_>, source: &mut Source) {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(inner) => collect(inner, source),
            DirEntry::File(file) => {
                if let Some(path) = file.path().to_str().and_then(|path| path.strip_suffix(".json")) {
                    source.modules.insert(path.replace('\\', "/"), file.contents().to_vec());
                }
            }
        }
    }
}

impl Library {
    /// Compiles module files.
    ///
    /// # Errors
    /// [`Error::Module`] for the first file that is not a valid module, or that needs what nobody provides.
    pub fn compile(source: &Source) -> Result<Library, Error> {
        let (library, mut wrong) = Library::survey(source)?;
        match wrong.pop_first() {
            Some((_, error)) => Err(error),
            None => Ok(library),
        }
    }

    /// Reads every module file; those that are wrong stay empty, and their first error is returned by their path.
    ///
    /// # Errors
    /// When an override names a module that does not exist.
    pub fn survey(source: &Source) -> Result<(Library, BTreeMap<String, Error>), Error> {
        source.check_overrides()?;
        let paths: HashMap<String, usize> =
            source.modules.keys().enumerate().map(|(index, path)| (path.clone(), index)).collect();
        let mut library = Library::default();
        for name in crate::host::VITAL_SIGNS {
            library.vital_signs.intern(name);
        }
        let notes = Notes::default();
        let mut wrong = BTreeMap::new();
        for (path, bytes) in &source.modules {
            let read = parse(source, path, bytes)
                .and_then(|value| read_module(&mut library, source, path, &value, &paths, &notes));
            let (module, needs) = read.unwrap_or_else(|error| {
                wrong.insert(path.clone(), error);
                (Module { path: path.clone(), cause: 0, states: Vec::new(), initial: 0 }, Needs::default())
            });
            if !path.contains('/') && !module.states.is_empty() {
                library.top_level.push(library.modules.len());
            }
            library.hashes.push((path.clone(), xxh3_64(bytes)));
            library.modules.push(module);
            library.needs.push(needs);
        }
        library.notes = notes.into_inner();
        for (path, error) in library.check_named_states().chain(library.check_vital_signs()).collect::<Vec<_>>() {
            wrong.entry(path).or_insert(error);
        }
        let Library { modules, tracked, .. } = &mut library;
        for state in modules.iter_mut().flat_map(|module| &mut module.states) {
            state.tracked = tracked.get(&state.name);
        }
        Ok((library, wrong))
    }

    /// States that are named across modules must exist in some module that could be read.
    fn check_named_states(&self) -> impl Iterator<Item = (String, Error)> {
        let mut known = Interner::default();
        for state in self.modules.iter().flat_map(|module| &module.states) {
            known.intern(&state.name);
        }
        self.modules.iter().zip(&self.needs).filter_map(move |(module, needs)| {
            let (state, field, name) = needs.states.iter().find(|(_, _, name)| known.get(name).is_none())?;
            let message =
                format!("no module has a state `{name}`, expected one of this module, its caller or a submodule");
            Some((module.path.clone(), error(&module.path, state, field, message)))
        })
    }

    fn check_vital_signs(&self) -> impl Iterator<Item = (String, Error)> {
        let host = crate::host::VITAL_SIGNS;
        self.modules.iter().zip(&self.needs).filter_map(move |(module, needs)| {
            let is_set = |id| self.needs.iter().any(|needs| needs.vital_signs_set.contains(id));
            let (id, state) = needs.vital_signs.iter().find(|(id, _)| **id as usize >= host.len() && !is_set(id))?;
            let message = format!(
                "neither the host nor a VitalSign state provides `{}`; the host has {}",
                self.vital_signs.text(*id),
                host.join(", ")
            );
            Some((module.path.clone(), error(&module.path, state, "vital_sign", message)))
        })
    }
}

fn error(file: &str, state: &str, field: &str, message: String) -> Error {
    Error::Module { file: file.into(), state: state.into(), field: field.into(), message }
}

fn parse(source: &Source, path: &str, bytes: &[u8]) -> Result<Value, Error> {
    let mut value: Value =
        serde_json::from_slice(bytes).map_err(|cause| error(path, "-", "-", format!("is not valid JSON: {cause}")))?;
    for one in source.overrides.iter().filter(|one| one.module == path) {
        one.apply(&mut value)?;
    }
    Ok(value)
}

fn read_module(
    library: &mut Library,
    source: &Source,
    path: &str,
    value: &Value,
    modules: &HashMap<String, usize>,
    notes: &Notes,
) -> Result<(Module, Needs), Error> {
    let file = Fields::new(path, "-", "", value, notes)?;
    if file.number("gmf_version")?.is_some_and(|version| version > 2.0) {
        return Err(file.error("gmf_version", "is above 2, the newest version known"));
    }
    let name = file.text("name")?.unwrap_or(path);
    file.text("specialty")?;
    let states = file.object("states")?;
    let states = file.need("states", states)?;
    file.finish()?;
    let names: HashMap<String, usize> =
        states.names().enumerate().map(|(index, state)| (state.to_owned(), index)).collect();
    let initial = names.get("Initial").copied();
    let initial = states.need("Initial", initial)?;
    let cause = library.causes.intern(name);
    let mut binder = Binder {
        library,
        states: &names,
        modules,
        lookup_tables: &source.lookup_tables,
        needs: Needs::default(),
        state: String::new(),
    };
    let states = states
        .values()
        .map(|(name, state)| binder.read_state(name, &Fields::new(path, name, "", state, notes)?))
        .collect::<Result<Vec<_>, _>>()?;
    let needs = binder.needs;
    let module = Module { path: path.into(), cause, states, initial };
    refuse_circle(&module)?;
    Ok((module, needs))
}

/// States in a circle of direct transitions, none of which can wait, would never end.
fn refuse_circle(module: &Module) -> Result<(), Error> {
    let next = |index: usize| match (&module.states[index].kind, &module.states[index].transition) {
        (kind, Transition::Direct(next)) if !can_wait(kind) => Some(*next),
        _ => None,
    };
    // The round in which a state was last passed; a state of an earlier round leads to no circle.
    let mut passed = vec![0; module.states.len()];
    for start in 0..module.states.len() {
        let mut state = start;
        while passed[state] == 0 {
            passed[state] = start + 1;
            let Some(after) = next(state) else { break };
            if passed[after] == start + 1 {
                let State { name, .. } = &module.states[state];
                let message = format!(
                    "leads back to `{}` by states that take no time, expected a Delay, a Guard or an Encounter among them",
                    module.states[after].name
                );
                return Err(error(&module.path, name, "direct_transition", message));
            }
            state = after;
        }
    }
    Ok(())
}

fn can_wait(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Delay(_)
            | Kind::Guard(_)
            | Kind::Encounter(_)
            | Kind::EncounterEnd(_)
            | Kind::Procedure { .. }
            | Kind::CallSubmodule(_)
            | Kind::Death(..)
            | Kind::Terminal
    )
}
