//! Finds module files and makes a [`Library`] of them.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use include_dir::{Dir, DirEntry, include_dir};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::bind::Binder;
use super::field::Fields;
use super::{Interner, Library, Module};
use crate::Error;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/modules");

/// Module files by path without `.json`.
pub type Source = BTreeMap<String, Vec<u8>>;

/// The modules that belong to the program.
pub fn built_in() -> Source {
    let mut source = Source::new();
    collect(&BUILT_IN, &mut source);
    source
}

fn collect(folder: &Dir<'_>, source: &mut Source) {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(inner) => collect(inner, source),
            DirEntry::File(file) => {
                if let Some(path) = file.path().to_str().and_then(|path| path.strip_suffix(".json")) {
                    source.insert(path.replace('\\', "/"), file.contents().to_vec());
                }
            }
        }
    }
}

/// The modules of a folder, added to `source`; a file of the same path takes the place of the one there.
///
/// # Errors
/// When the folder or one of its files cannot be read.
pub fn from_folder(folder: &Path, source: &mut Source) -> Result<(), Error> {
    add_folder(folder, "", source)
}

fn add_folder(folder: &Path, prefix: &str, source: &mut Source) -> Result<(), Error> {
    let mut entries =
        fs::read_dir(folder).map_err(Error::io(folder))?.collect::<Result<Vec<_>, _>>().map_err(Error::io(folder))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            // Lookup tables are not modules.
            if name != "lookup_tables" {
                add_folder(&path, &format!("{prefix}{name}/"), source)?;
            }
        } else if let Some(stem) = name.strip_suffix(".json") {
            source.insert(format!("{prefix}{stem}"), fs::read(&path).map_err(Error::io(&path))?);
        }
    }
    Ok(())
}

impl Library {
    /// Compiles module files.
    ///
    /// # Errors
    /// [`Error::Module`] for the first file that is not a valid module.
    pub fn compile(source: &Source) -> Result<Library, Error> {
        let paths: HashMap<String, usize> =
            source.keys().enumerate().map(|(index, path)| (path.clone(), index)).collect();
        let mut library = Library::default();
        for name in crate::host::VITAL_SIGNS {
            library.vital_signs.intern(name);
        }
        let mut prior = Vec::new();
        let mut vital_signs_read = Vec::new();
        for (path, bytes) in source {
            let value: Value = serde_json::from_slice(bytes).map_err(|error| Error::Module {
                file: path.clone(),
                state: "-".into(),
                field: "-".into(),
                message: format!("is not valid JSON: {error}"),
            })?;
            let (module, names, vital_signs) = read_module(&mut library, path, &value, &paths)?;
            prior.extend(names.into_iter().map(|(place, name)| (path.clone(), place, name)));
            vital_signs_read.extend(vital_signs.into_iter().map(|(state, id)| (path.clone(), state, id)));
            if !path.contains('/') {
                library.top_level.push(library.modules.len());
            }
            library.hashes.push((path.clone(), xxh3_64(bytes)));
            library.modules.push(module);
        }
        library.check_prior_states(&prior)?;
        library.check_vital_signs(&vital_signs_read)?;
        let Library { modules, tracked, .. } = &mut library;
        for state in modules.iter_mut().flat_map(|module| &mut module.states) {
            state.tracked = tracked.get(&state.name);
        }
        Ok(library)
    }

    fn check_prior_states(&self, prior: &[(String, String, String)]) -> Result<(), Error> {
        let mut known = Interner::default();
        for state in self.modules.iter().flat_map(|module| &module.states) {
            known.intern(&state.name);
        }
        for (file, place, name) in prior {
            if known.get(name).is_none() {
                let (state, field) = place.rsplit_once('/').unwrap_or((place, "name"));
                return Err(Error::Module {
                    file: file.clone(),
                    state: state.into(),
                    field: field.into(),
                    message: format!("no module has a state `{name}`"),
                });
            }
        }
        Ok(())
    }

    fn check_vital_signs(&self, read: &[(String, String, super::Id)]) -> Result<(), Error> {
        let set: Vec<super::Id> = self
            .modules
            .iter()
            .flat_map(|module| &module.states)
            .filter_map(|state| match state.kind {
                super::Kind::VitalSign(id, _) => Some(id),
                _ => None,
            })
            .collect();
        for (file, state, id) in read {
            if *id as usize >= crate::host::VITAL_SIGNS.len() && !set.contains(id) {
                return Err(Error::Module {
                    file: file.clone(),
                    state: state.clone(),
                    field: "vital_sign".into(),
                    message: format!(
                        "neither the host nor a VitalSign state provides `{}`; the host has {}",
                        self.vital_signs.text(*id),
                        crate::host::VITAL_SIGNS.join(", ")
                    ),
                });
            }
        }
        Ok(())
    }
}

type Bound = (Module, Vec<(String, String)>, Vec<(String, super::Id)>);

fn read_module(
    library: &mut Library,
    path: &str,
    value: &Value,
    modules: &HashMap<String, usize>,
) -> Result<Bound, Error> {
    let file = Fields::new(path, "-", "", value)?;
    if file.number("gmf_version")?.is_some_and(|version| version > 2.0) {
        return Err(file.error("gmf_version", "is above 2, the newest version known"));
    }
    let states = file.raw("states").and_then(Value::as_object);
    let states = file.need("states", states)?;
    let names: HashMap<String, usize> =
        states.keys().enumerate().map(|(index, state)| (state.clone(), index)).collect();
    let initial = names.get("Initial").copied();
    let initial = file.need("states.Initial", initial)?;
    let mut binder = Binder {
        library,
        states: &names,
        modules,
        prior: Vec::new(),
        vital_signs_read: Vec::new(),
        state: String::new(),
    };
    let states = states
        .iter()
        .map(|(name, state)| binder.read_state(name, &Fields::new(path, name, "", state)?))
        .collect::<Result<Vec<_>, _>>()?;
    let (prior, vital_signs) = (binder.prior, binder.vital_signs_read);
    Ok((Module { path: path.into(), states, initial }, prior, vital_signs))
}
