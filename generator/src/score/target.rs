//! The targets: what is published, and how a population is asked for it.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::data_table::data_table;

/// A published figure.
#[derive(Clone, Debug, Deserialize)]
pub struct Target {
    /// Its name.
    pub metric: String,
    /// What it is about.
    pub kind: Kind,
    /// How it is measured.
    pub measure: Measure,
    /// Codes of conditions, drugs or observations, with a space between them; any of them will do.
    pub codes: String,
    /// Further codes: drugs, answers, the second observation.
    pub other: String,
    /// Threshold, or the first quartile of a median.
    pub low: Option<f64>,
    /// The second threshold, or the third quartile.
    pub high: Option<f64>,
    /// `F` or `M`; both when absent.
    pub sex: Option<String>,
    /// `white`, `black` or `asian`, none of them Hispanic; or `hispanic`.
    pub group: Option<String>,
    /// Youngest, in years.
    pub age_low: Option<i32>,
    /// Oldest, in years.
    pub age_high: Option<i32>,
    /// The figure.
    pub target: f64,
    /// Its published standard error.
    pub standard_error: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// Who published it, and of which time it is.
    pub source: String,
}

/// What a figure is about: records of care know less than surveys that measure everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What is in the records of care.
    Recorded,
    /// What measuring everybody finds.
    Measured,
}

/// How a figure is measured, over the living of a sex, age and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share with an active condition.
    Condition,
    /// Share with an active order of a drug.
    Drug,
    /// Share whose latest value lies from `low` on and below `high`.
    ValueShare,
    /// Mean of the latest values.
    ValueMean,
    /// Median of the latest values.
    ValueMedian,
    /// Share whose latest answer is one of the other codes.
    Coded,
    /// Share with a pressure from `low` or `high` on, or with one of the other codes as a drug.
    Hypertension,
    /// Share of these with one of the drugs.
    HypertensionTreated,
    /// Share of these with a pressure below both.
    HypertensionControlled,
    /// Share of those with the condition whose pressure is below both.
    PressureBelow,
    /// Share with the condition, or with the first other value from `low` or the second from `high` on.
    Diabetes,
    /// Correlation of the latest values of two observations.
    Correlation,
}

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Recorded => "recorded",
            Kind::Measured => "measured",
        }
    }
}

impl Target {
    /// The codes.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.codes.split(' ')
    }

    /// The further codes.
    pub fn others(&self) -> impl Iterator<Item = &str> {
        self.other.split(' ')
    }
}

/// Reads the targets.
pub fn read() -> Result<Vec<Target>, Error> {
    data_table!("target")
}
