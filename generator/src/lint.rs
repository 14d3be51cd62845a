//! What the modules of a folder need, and who supplies it: read without running anything.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use crate::Error;
use crate::host::{HOST_ATTRIBUTES, Risks, VITAL_SIGNS, VitalSigns};
use crate::module::{Id, Library, Needs, Source, built_in, from_folder};

/// What is known of a folder of modules.
#[derive(Clone, Debug, Serialize)]
pub struct LintReport {
    /// One entry per module of the folder, by path.
    pub modules: Vec<LintedModule>,
}

/// What is known of one module.
#[derive(Clone, Debug, Serialize)]
pub struct LintedModule {
    /// Path without `.json`.
    pub module: String,
    /// Why it does not load, if it does not.
    pub error: Option<String>,
    /// Runs by itself: it lies in no folder.
    pub top_level: bool,
    /// How many states it has.
    pub states: usize,
    /// Submodules that it calls.
    pub submodules: Vec<String>,
    /// Lookup tables that it reads.
    pub lookup_tables: Vec<String>,
    /// Vital signs that it reads.
    pub vital_signs: Vec<Need>,
    /// Attributes that it reads and does not set.
    pub attributes: Vec<Need>,
    /// What is odd, but no error.
    pub notes: Vec<String>,
}

/// Something that a module needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Need {
    /// Its name.
    pub name: String,
    /// Who supplies it.
    pub supplier: Supplier,
}

/// Who supplies something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Supplier {
    /// The native core.
    Host,
    /// Another module.
    Module,
    /// The default that stands beside it.
    Default,
    /// Nobody: it stays absent.
    Nobody,
}

impl LintReport {
    /// How many modules do not load.
    pub fn failures(&self) -> usize {
        self.modules.iter().filter(|module| module.error.is_some()).count()
    }
}

/// Reads the modules of a folder as [`generate`](crate::generate()) would, together with the built-in ones.
///
/// # Errors
/// When the folder cannot be read. A module that is wrong is no error: its entry says what is wrong.
pub fn lint(folder: &Path) -> Result<LintReport, Error> {
    let mut own = Source::default();
    from_folder(folder, &mut own)?;
    if own.modules.is_empty() {
        let message = "holds no module, expected files named *.json".into();
        return Err(Error::Folder { path: folder.into(), message });
    }
    let mut all = built_in();
    all.modules.extend(own.modules.clone());
    all.lookup_tables.extend(own.lookup_tables);
    let (mut library, mut wrong) = Library::survey(&all)?;
    let vital_signs = VitalSigns::new(&mut library)?;
    let mut host: BTreeSet<Id> = Risks::new(&mut library, &vital_signs)?.attributes().collect();
    host.extend(HOST_ATTRIBUTES.map(|name| library.attributes.intern(name)));
    let mut modules = Vec::new();
    for (index, module) in library.modules.iter().enumerate() {
        if !own.modules.contains_key(&module.path) {
            continue;
        }
        let needs = &library.needs[index];
        let notes = library.notes.iter().filter(|note| note.file == module.path);
        modules.push(LintedModule {
            module: module.path.clone(),
            error: wrong.remove(&module.path).map(|error| error.to_string()),
            top_level: !module.path.contains('/'),
            states: module.states.len(),
            submodules: needs.submodules.iter().cloned().collect(),
            lookup_tables: needs.lookup_tables.iter().cloned().collect(),
            vital_signs: vital_signs_of(&library, needs),
            attributes: attributes_of(&library, needs, &host),
            notes: notes
                .map(|note| format!("state `{}`: field `{}`: {}", note.state, note.field, note.message))
                .collect(),
        });
    }
    Ok(LintReport { modules })
}

fn vital_signs_of(library: &Library, needs: &Needs) -> Vec<Need> {
    let supplier = |id: &Id| match *id {
        id if (id as usize) < VITAL_SIGNS.len() => Supplier::Host,
        id if library.needs.iter().any(|needs| needs.vital_signs_set.contains(&id)) => Supplier::Module,
        _ => Supplier::Nobody,
    };
    let name = |id: &Id| library.vital_signs.text(*id).to_owned();
    sorted(needs.vital_signs.keys().map(|id| Need { name: name(id), supplier: supplier(id) }))
}

fn attributes_of(library: &Library, needs: &Needs, host: &BTreeSet<Id>) -> Vec<Need> {
    let supplier = |id: &Id| {
        if host.contains(id) {
            Supplier::Host
        } else if library.needs.iter().any(|needs| needs.written.contains(id)) {
            Supplier::Module
        } else if needs.with_default.contains(id) {
            Supplier::Default
        } else {
            Supplier::Nobody
        }
    };
    let name = |id: &Id| library.attributes.text(*id);
    let is_state =
        |id: &Id| library.modules.iter().flat_map(|module| &module.states).any(|state| state.name == name(id));
    let read = needs.read.iter().chain(needs.reasons.difference(&needs.read).filter(|id| !is_state(id)));
    let foreign = read.filter(|id| !needs.written.contains(id));
    sorted(foreign.map(|id| Need { name: name(id).into(), supplier: supplier(id) }))
}

fn sorted(needs: impl Iterator<Item = Need>) -> Vec<Need> {
    let mut needs: Vec<Need> = needs.collect();
    needs.sort_by(|one, other| one.name.cmp(&other.name));
    needs
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn module(states: &str) -> String {
        format!(
            r#"{{"name": "m", "states": {{"Initial": {{"type": "Initial", "direct_transition": "A"}}, {states}}}}}"#
        )
    }

    #[test]
    fn needs_are_told_with_their_suppliers() {
        let folder = tempfile::tempdir().unwrap();
        let asks =
            |name: &str| format!(r#"{{"condition_type": "Attribute", "attribute": "{name}", "operator": "is nil"}}"#);
        let guard = format!(
            r#""A": {{"type": "Guard", "allow": {{"condition_type": "And", "conditions": [{}, {}, {}, {},
            {{"condition_type": "Vital Sign", "vital_sign": "BMI", "operator": ">", "value": 30}}]}},
            "direct_transition": "B"}},
            "B": {{"type": "SetAttribute", "attribute": "own", "value": 1, "distributed_transition": [
                {{"distribution": {{"attribute": "tuned", "default": 0.5}}, "transition": "C"}},
                {{"distribution": 0.5, "transition": "C"}}]}},
            "C": {{"type": "CallSubmodule", "submodule": "medication/antibiotic", "colour": 1, "direct_transition": "D"}},
            "D": {{"type": "Terminal", "unit": "x"}}"#,
            asks("own"),
            asks("smoker"),
            asks("asthma"),
            asks("typo")
        );
        fs::write(folder.path().join("good.json"), module(&guard.replace(r#""colour": 1, "#, ""))).unwrap();
        fs::write(folder.path().join("bad.json"), module(&guard)).unwrap();
        let report = lint(folder.path()).unwrap();
        assert_eq!((report.modules.len(), report.failures()), (2, 1));
        let [bad, good] = &report.modules[..] else { panic!("{report:?}") };
        let error = bad.error.as_deref().unwrap();
        assert!(
            error.starts_with("module `bad`: state `C`: field `colour`: is no field of the format here"),
            "{error}"
        );
        assert_eq!((good.states, good.top_level, &good.error), (5, true, &None));
        assert_eq!(good.submodules, ["medication/antibiotic"]);
        let found: Vec<(&str, Supplier)> =
            good.attributes.iter().map(|need| (need.name.as_str(), need.supplier)).collect();
        assert_eq!(
            found,
            [
                ("asthma", Supplier::Module),
                ("smoker", Supplier::Host),
                ("tuned", Supplier::Default),
                ("typo", Supplier::Nobody)
            ]
        );
        assert_eq!(good.vital_signs, [Need { name: "BMI".into(), supplier: Supplier::Host }]);
        assert_eq!(good.notes, ["state `D`: field `unit`: has no effect in this place"]);
    }

    #[test]
    fn a_folder_without_modules_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let message = lint(folder.path()).unwrap_err().to_string();
        assert!(message.contains("holds no module"), "{message}");
    }
}
