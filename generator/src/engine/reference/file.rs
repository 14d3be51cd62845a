//! The files of a run as they are, and the numbers that the record has for their codes.

use std::collections::{BTreeMap, HashMap};

use super::json::{Json, need};
use crate::module::{Code, Codes, Id, Source};

/// Modules and lookup tables by name.
pub struct Files {
    modules: BTreeMap<String, Json>,
    tables: BTreeMap<String, Table>,
    numbers: HashMap<Code, Id>,
    list_numbers: HashMap<Vec<Id>, Id>,
}

/// The cells of a lookup table as they are written, without the blanks around them.
pub struct Table {
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Files {
    /// Parses the files; `codes` are the ones that their codes have been given numbers by.
    pub fn new(source: &Source, codes: &Codes) -> Files {
        assert!(source.overrides.is_empty(), "the reference interpreter takes files as they are");
        let module = |bytes: &Vec<u8>| serde_json::from_slice(bytes).unwrap();
        Files {
            modules: source.modules.iter().map(|(path, bytes)| (path.clone(), module(bytes))).collect(),
            tables: source.lookup_tables.iter().map(|(name, bytes)| (name.clone(), Table::read(bytes))).collect(),
            numbers: codes.all().iter().cloned().zip(0..).collect(),
            list_numbers: codes.lists().iter().cloned().zip(0..).collect(),
        }
    }

    /// The modules that run by themselves: those that lie in no folder.
    pub fn top_level(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str).filter(|path| !path.contains('/'))
    }

    /// A state of a module.
    pub fn state(&self, path: &str, state: &str) -> &Json {
        need(need(&self.modules[path], "states"), state)
    }

    /// True when a module has a state of that name.
    pub fn has_state(&self, path: &str, state: &str) -> bool {
        need(&self.modules[path], "states").get(state).is_some()
    }

    /// The name of a module; its path when it has none.
    pub fn name<'a>(&'a self, path: &'a str) -> &'a str {
        super::json::text(&self.modules[path], "name").unwrap_or(path)
    }

    /// A lookup table.
    pub fn table(&self, name: &str) -> &Table {
        &self.tables[name]
    }

    /// The number of a code in the record.
    pub fn number(&self, code: &Code) -> Id {
        self.numbers[code]
    }

    /// The number of a list of codes in the record.
    pub fn list_number(&self, codes: &[Code]) -> Id {
        let list: Vec<Id> = codes.iter().map(|code| self.number(code)).collect();
        self.list_numbers[&list]
    }
}

impl Table {
    fn read(bytes: &[u8]) -> Table {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).has_headers(false).from_reader(bytes);
        let mut rows: Vec<Vec<String>> = reader.deserialize().map(Result::unwrap).collect();
        Table { header: rows.remove(0), rows }
    }
}
