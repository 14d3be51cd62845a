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
    /// Ages at which the bands begin by which the figure is age-adjusted, with a space between them; none for a crude one.
    pub adjusted_from: String,
    /// The bands.
    #[serde(skip)]
    pub bands: Vec<Band>,
    /// The figure.
    pub target: f64,
    /// Its published standard error, or the published 95 % confidence interval by 3.92.
    pub standard_error: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// Who published it, and of which time it is.
    pub source: String,
}

/// A band of ages and what it counts for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// Youngest, in years; the band ends where the next one begins.
    pub from: i32,
    /// Its people in the standard population, in thousands.
    pub weight: f64,
}

#[derive(Deserialize)]
struct Standard {
    age_from: i32,
    thousands: f64,
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
    let mut targets: Vec<Target> = data_table!("target")?;
    let standard: Vec<Standard> = data_table!("standard_population")?;
    for target in &mut targets {
        target.bands = bands(&target.adjusted_from, &standard);
    }
    Ok(targets)
}

/// The bands that begin at these ages; one for everybody when there are none.
fn bands(begins: &str, standard: &[Standard]) -> Vec<Band> {
    let mut bands: Vec<Band> =
        begins.split_whitespace().filter_map(|age| age.parse().ok()).map(|from| Band { from, weight: 0.0 }).collect();
    for row in standard {
        if let Some(band) = bands.iter_mut().rfind(|band| band.from <= row.age_from) {
            band.weight += row.thousands;
        }
    }
    if bands.is_empty() {
        bands.push(Band { from: 0, weight: 1.0 });
    }
    bands
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shares that NCHS gives for adults by these bands.
    #[test]
    fn bands_count_for_what_they_are_in_the_standard_population() {
        let standard: Vec<Standard> = data_table!("standard_population").unwrap();
        let bands = bands("18 40 60", &standard);
        let total: f64 = bands.iter().map(|band| band.weight).sum();
        for (band, (from, share)) in bands.iter().zip([(18, 0.420263), (40, 0.357202), (60, 0.222535)]) {
            assert_eq!(band.from, from);
            assert!((band.weight / total - share).abs() < 1e-6, "{band:?}");
        }
    }

    #[test]
    fn a_crude_figure_is_of_one_band() {
        assert_eq!(bands("", &[]), [Band { from: 0, weight: 1.0 }]);
    }
}
