//! How much dirt of which kind: presets, and files of the caller's.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Serialize, Serializer};
use toml::{Table, Value};

use super::Kind;
use crate::Error;

/// The built-in files of rates, from clean to dirty.
const PRESETS: [(&str, &str); 3] = [
    ("clean", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/dirt/clean.toml"))),
    ("light", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/dirt/light.toml"))),
    ("heavy", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/dirt/heavy.toml"))),
];

/// For each kind the share, from 0 to 1, of the resources that it can befall.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    shares: BTreeMap<Kind, f64>,
    days: BTreeMap<DayRate, f64>,
}

/// What a day after the first load brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DayRate {
    /// Visits that come, with all that belongs to them.
    NewVisit,
    /// Resources of which more is known.
    Changed,
    /// Resources of which an older version arrives.
    LateVersion,
    /// Visits that were an error, with all that belongs to them.
    EnteredInError,
    /// Visits that the source deletes, with all that belongs to them.
    Deleted,
    /// Patients of whom another record turns up, which is replaced.
    MergedPatient,
}

impl DayRate {
    const ALL: [(DayRate, &'static str); 6] = [
        (DayRate::NewVisit, "new_visit"),
        (DayRate::Changed, "changed"),
        (DayRate::LateVersion, "late_version"),
        (DayRate::EnteredInError, "entered_in_error"),
        (DayRate::Deleted, "deleted"),
        (DayRate::MergedPatient, "merged_patient"),
    ];
}

impl Rates {
    /// Reads the rates of a preset, or of a TOML file with one key per kind; a kind without a key does not happen.
    ///
    /// # Errors
    /// There is neither, or the file says what cannot be meant: the message names file and key.
    pub fn open(name: &str) -> Result<Rates, Error> {
        if let Some((_, text)) = PRESETS.iter().find(|(preset, _)| *preset == name) {
            return Rates::read(name, text);
        }
        if !Path::new(name).is_file() {
            let presets = PRESETS.map(|(preset, _)| format!("`{preset}`")).join(", ");
            let message = format!("`{name}` is neither a file nor one of the presets {presets}");
            return Err(Error::Option { option: "dirt", message });
        }
        let text = std::fs::read_to_string(name).map_err(Error::io(name))?;
        Rates::read(name, &text)
    }

    /// The rates of a feed in which nothing is wrong.
    ///
    /// # Errors
    /// Never, unless the preset is broken.
    pub fn clean() -> Result<Rates, Error> {
        Rates::open(PRESETS[0].0)
    }

    /// Reads the text of a file of that name.
    pub(crate) fn read(name: &str, text: &str) -> Result<Rates, Error> {
        let wrong = |message: String| Error::Rates { path: name.into(), message };
        let table: Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
        let mut rates = Rates::default();
        for (key, value) in &table {
            if let ("day", Value::Table(day)) = (key.as_str(), value) {
                rates.read_day(day).map_err(wrong)?;
                continue;
            }
            let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == key) else {
                let kinds = Kind::ALL.map(|kind| format!("`{}`", kind.name())).join(", ");
                return Err(wrong(format!(
                    "there is no kind of dirt `{key}`, expected one of {kinds}, or the section `day`"
                )));
            };
            rates.shares.insert(kind, share(value).map_err(|found| wrong(format!("`{key}` is {found}")))?);
        }
        Ok(rates)
    }

    fn read_day(&mut self, day: &Table) -> Result<(), String> {
        for (key, value) in day {
            let Some((rate, _)) = DayRate::ALL.into_iter().find(|(_, name)| name == key) else {
                let names = DayRate::ALL.map(|(_, name)| format!("`{name}`")).join(", ");
                return Err(format!("a day brings no `{key}`, expected one of {names}"));
            };
            self.days.insert(rate, share(value).map_err(|found| format!("`day.{key}` is {found}"))?);
        }
        Ok(())
    }

    /// The share that a day brings.
    pub fn of_day(&self, rate: DayRate) -> f64 {
        self.days.get(&rate).copied().unwrap_or(0.0)
    }

    /// The share of a kind.
    pub fn of(&self, kind: Kind) -> f64 {
        self.shares.get(&kind).copied().unwrap_or(0.0)
    }
}

impl Serialize for Rates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let days = DayRate::ALL.into_iter().filter(|(rate, _)| self.of_day(*rate) > 0.0);
        let days = days.map(|(rate, name)| (format!("day.{name}"), self.of_day(rate)));
        let kinds = self.shares.iter().map(|(kind, share)| (kind.name().to_owned(), *share));
        serializer.collect_map(kinds.chain(days))
    }
}

fn share(value: &Value) -> Result<f64, String> {
    let number = match value {
        Value::Float(number) => Some(*number),
        Value::Integer(number) => Some(*number as f64),
        _ => None,
    };
    let share = number.filter(|number| (0.0..=1.0).contains(number));
    share.ok_or_else(|| format!("{value}, expected a share from 0 to 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_name_every_kind_and_get_dirtier() {
        let [clean, light, heavy] = PRESETS.map(|(name, _)| Rates::open(name).unwrap());
        for kind in Kind::ALL {
            assert_eq!(clean.of(kind), 0.0);
            assert!(DayRate::ALL.into_iter().all(|(rate, _)| clean.of_day(rate) > 0.0));
            assert!(0.0 < light.of(kind) && light.of(kind) < heavy.of(kind), "{}", kind.name());
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_file_and_key() {
        let message = |text: &str| Rates::read("mine.toml", text).unwrap_err().to_string();
        let unknown = message("duplicat = 0.1");
        assert!(unknown.starts_with("`mine.toml`: there is no kind of dirt `duplicat`, expected one of `invalid`, "));
        for (text, found) in [("refuted = 1.5", "1.5"), ("refuted = \"all\"", "\"all\""), ("refuted = -1", "-1")] {
            assert_eq!(message(text), format!("`mine.toml`: `refuted` is {found}, expected a share from 0 to 1"));
        }
        assert_eq!(
            message("[day]\nnew = 0.1"),
            "`mine.toml`: a day brings no `new`, expected one of `new_visit`, `changed`, `late_version`, `entered_in_error`, `deleted`, `merged_patient`"
        );
        assert_eq!(message("[day]\nchanged = 2"), "`mine.toml`: `day.changed` is 2, expected a share from 0 to 1");
        assert!(message("refuted = 0.1\nrefuted = 0.2").contains("mine.toml"));
        assert!(message("refuted").contains("mine.toml"));
        let absent = Rates::open("no-such.toml").unwrap_err().to_string();
        assert_eq!(
            absent,
            "option `dirt`: `no-such.toml` is neither a file nor one of the presets `clean`, `light`, `heavy`"
        );
    }

    #[test]
    fn a_file_of_the_caller_says_what_happens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, "# half of all\nrefuted = 0.5\nduplicate = 1\n[day]\nchanged = 0.1\n").unwrap();
        let rates = Rates::open(path.to_str().unwrap()).unwrap();
        assert_eq!((rates.of(Kind::Refuted), rates.of(Kind::Duplicate), rates.of(Kind::Invalid)), (0.5, 1.0, 0.0));
        assert_eq!(serde_json::to_string(&rates).unwrap(), r#"{"refuted":0.5,"duplicate":1.0,"day.changed":0.1}"#);
    }
}
