//! Disease modules in the Generic Module Framework format, compiled: names are numbers, states stand in arrays, and
//! everything that can be wrong has been reported with file, state and field.

mod bind;
mod distribution;
mod field;
mod folder;
mod limit;
mod load;
mod logic;
mod lookup;
mod override_file;
mod read;
mod read_clinical;
mod read_condition;
mod read_transition;
mod state;

use std::collections::HashMap;

pub use bind::Needs;
#[cfg(test)]
pub(crate) use bind::system_uri;
pub use distribution::{Kind as DistributionKind, Unit};
pub use field::Note;
pub use folder::from_folder;
pub use limit::{CALL_DEPTH, STATES_PER_LIFE, STATES_PER_STEP};
pub use load::{Source, built_in};
pub use logic::{ActiveKind, By, Condition, ConstantValue, DateTest, Operator};
pub use lookup::{Cell, Key, Lookup};
pub use override_file::read_overrides;
pub use state::*;

/// A number that stands for an interned text.
pub type Id = u32;

/// Texts with numbers, in the order of their first use.
#[derive(Debug, Default)]
pub struct Interner {
    texts: Vec<String>,
    ids: HashMap<String, Id>,
}

impl Interner {
    /// The number of a text, new if need be.
    pub fn intern(&mut self, text: &str) -> Id {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = self.texts.len() as Id;
        self.texts.push(text.into());
        self.ids.insert(text.into(), id);
        id
    }

    /// The number of a text that is known.
    pub fn get(&self, text: &str) -> Option<Id> {
        self.ids.get(text).copied()
    }

    /// The text of a number.
    pub fn text(&self, id: Id) -> &str {
        &self.texts[id as usize]
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }
}

/// One code of a code system.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code {
    /// URI of the code system.
    pub system: String,
    /// The code.
    pub code: String,
    /// What it says.
    pub display: String,
}

/// Every code and every list of codes that modules or the host name.
#[derive(Debug, Default)]
pub struct Codes {
    codes: Vec<Code>,
    ids: HashMap<Code, Id>,
    lists: Vec<Vec<Id>>,
    list_ids: HashMap<Vec<Id>, Id>,
    texts: Interner,
    text_of: Vec<Id>,
}

impl Codes {
    /// The number of a code.
    pub fn intern(&mut self, code: Code) -> Id {
        if let Some(id) = self.ids.get(&code) {
            return *id;
        }
        let id = self.codes.len() as Id;
        self.text_of.push(self.texts.intern(&code.code));
        self.codes.push(code.clone());
        self.ids.insert(code, id);
        id
    }

    /// The number of a list of codes.
    pub fn intern_list(&mut self, list: Vec<Id>) -> Id {
        if let Some(id) = self.list_ids.get(&list) {
            return *id;
        }
        let id = self.lists.len() as Id;
        self.lists.push(list.clone());
        self.list_ids.insert(list, id);
        id
    }

    /// The code of a number.
    pub fn code(&self, id: Id) -> &Code {
        &self.codes[id as usize]
    }

    /// The codes of a list.
    pub fn list(&self, id: Id) -> impl ExactSizeIterator<Item = &Code> {
        self.lists[id as usize].iter().map(|code| self.code(*code))
    }

    /// The first code of a list.
    pub fn first(&self, list: Id) -> &Code {
        self.code(self.lists[list as usize][0])
    }

    /// A number for the bare code text of a list's first code: activity is matched on it, without the system.
    pub fn text_id(&self, list: Id) -> Id {
        self.text_of[self.lists[list as usize][0] as usize]
    }

    /// How many numbers there are for code texts.
    pub fn texts(&self) -> usize {
        self.texts.len()
    }

    /// The number of a bare code text, if some code has it.
    pub fn text_number(&self, text: &str) -> Option<Id> {
        self.texts.get(text)
    }

    /// Every code.
    pub fn all(&self) -> &[Code] {
        &self.codes
    }

    /// Every list of codes.
    pub fn lists(&self) -> &[Vec<Id>] {
        &self.lists
    }
}

/// One module.
#[derive(Debug)]
pub struct Module {
    /// Path without `.json`, such as `asthma` or `medication/inhaler`.
    pub path: String,
    /// Number of its name as a cause of symptoms.
    pub cause: Id,
    /// States in the order of the file.
    pub states: Vec<State>,
    /// Index of the state named `Initial`.
    pub initial: usize,
}

/// All modules of a run.
#[derive(Debug, Default)]
pub struct Library {
    /// Modules in byte order of their paths.
    pub modules: Vec<Module>,
    /// Indexes of the modules that run by themselves: those that lie in no folder.
    pub top_level: Vec<usize>,
    /// Names of attributes.
    pub attributes: Interner,
    /// State names that a PriorState condition asks for.
    pub tracked: Interner,
    /// Names of Encounter states at which something is diagnosed.
    pub encounter_states: Interner,
    /// Names of vital signs.
    pub vital_signs: Interner,
    /// Names of symptoms.
    pub symptoms: Interner,
    /// Causes of symptoms: names of modules, or what a Symptom state says.
    pub causes: Interner,
    /// Codes.
    pub codes: Codes,
    /// (path, hash of the file's bytes) of every module, for the manifest.
    pub hashes: Vec<(String, u64)>,
    /// What each module needs, in the order of the modules.
    pub needs: Vec<Needs>,
    /// What is odd about them, but no error.
    pub notes: Vec<Note>,
}
