//! What a caller may choose. Nothing is read from the clock or the environment.

use std::path::PathBuf;
use std::str::FromStr;

use chrono::NaiveDate;
use serde::Serialize;

use crate::Error;
use crate::dirt::Rates;

/// The end of every history unless the caller says otherwise: the same command gives the same bytes next year.
pub const DEFAULT_END_DATE: NaiveDate = NaiveDate::from_ymd_opt(2026, 1, 1).expect("a calendar day");

/// Days that can follow: the files of all of them are open at the same time.
const MOST_UPDATES: u32 = 28;

/// One generation.
#[derive(Clone, Debug, Serialize)]
pub struct Options {
    /// Patients of the whole population, over all shards.
    pub patients: u64,
    /// Seed of every random draw.
    pub seed: u64,
    /// The part of the population to make.
    pub shard: Shard,
    /// First day that is not simulated any more.
    pub end_date: NaiveDate,
    /// Two-letter code or name of the one state to live in; all states when absent.
    pub state: Option<String>,
    /// Years before the end date that are written; 0 writes whole lives.
    pub years_of_history: u32,
    /// Writes insurance, and what is asked and paid for each visit.
    pub claims: bool,
    /// Writes a note of each visit.
    pub notes: bool,
    /// The source that the expected OMOP keys are made for.
    pub source_id: String,
    /// Folder of further modules; a file of the same path replaces a built-in one.
    #[serde(skip)]
    pub modules: Option<PathBuf>,
    /// File with numbers that take the place of those in modules.
    #[serde(skip)]
    pub module_overrides: Option<PathBuf>,
    /// What is spoiled, and how much of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dirt: Option<Rates>,
    /// Days after the first load that are written besides, each in a folder of its own.
    #[serde(skip_serializing_if = "is_zero")]
    pub updates: u32,
    /// Folder to write to.
    #[serde(skip)]
    pub output: PathBuf,
    /// Worker threads; the output does not depend on them.
    #[serde(skip)]
    pub threads: usize,
}

impl Options {
    /// Refuses what a type cannot.
    ///
    /// # Errors
    /// A value cannot be meant.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.updates > MOST_UPDATES {
            let message = format!("{} days are too many, expected at most {MOST_UPDATES}", self.updates);
            return Err(Error::Option { option: "updates", message });
        }
        self.shard.check().map(|_| ())
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            patients: 100,
            seed: 1,
            shard: Shard::WHOLE,
            end_date: DEFAULT_END_DATE,
            state: None,
            years_of_history: 10,
            claims: false,
            notes: false,
            source_id: "synthetic".into(),
            modules: None,
            module_overrides: None,
            dirt: None,
            updates: 0,
            output: PathBuf::from("synthetic"),
            threads: 1,
        }
    }
}

fn is_zero(days: &u32) -> bool {
    *days == 0
}

/// Part `index` of `count` of the population, counted from 1: contiguous ranges of patients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shard {
    /// Which part, from 1.
    pub index: u32,
    /// How many parts there are.
    pub count: u32,
}

impl Shard {
    /// The whole population in one part.
    pub const WHOLE: Shard = Shard { index: 1, count: 1 };

    /// The patient indexes of this part.
    pub fn range(self, patients: u64) -> std::ops::Range<u64> {
        let cut = |index: u32| (u128::from(patients) * u128::from(index) / u128::from(self.count)) as u64;
        cut(self.index - 1)..cut(self.index)
    }

    /// What stands between a file's name and its extension: nothing for the whole.
    pub(crate) fn suffix(self) -> String {
        if self.count == 1 { String::new() } else { format!(".{}-of-{}", self.index, self.count) }
    }

    pub(crate) fn check(self) -> Result<Shard, Error> {
        if self.count == 0 || self.index == 0 || self.index > self.count {
            let message =
                format!("`{}/{}` is no part of a whole, expected k/n with 1 <= k <= n", self.index, self.count);
            return Err(Error::Option { option: "shard", message });
        }
        Ok(self)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong =
            || Error::Option { option: "shard", message: format!("`{text}` is not of the form k/n, such as 1/4") };
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let shard = Shard { index: index.parse().map_err(|_| wrong())?, count: count.parse().map_err(|_| wrong())? };
        shard.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_cover_every_patient_once() {
        for (patients, count) in [(10, 4), (3, 4), (1000, 7), (0, 2)] {
            let mut next = 0;
            for index in 1..=count {
                let range = Shard { index, count }.range(patients);
                assert_eq!(range.start, next);
                next = range.end;
            }
            assert_eq!(next, patients);
        }
    }

    #[test]
    fn days_are_limited() {
        let check = |updates| Options { updates, ..Options::default() }.check();
        assert!(check(28).is_ok());
        assert_eq!(check(29).unwrap_err().to_string(), "option `updates`: 29 days are too many, expected at most 28");
    }

    #[test]
    fn shards_are_read_from_text() {
        assert_eq!("2/4".parse::<Shard>().unwrap(), Shard { index: 2, count: 4 });
        for wrong in ["", "2", "0/4", "5/4", "1/0", "a/b", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
