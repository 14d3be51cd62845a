//! How close a population comes to published figures: the scorecard.
//!
//! What is judged are FHIR R4 files by resource type, whoever made them, so that populations of other generators can be
//! scored by the same rule. The targets are `data/target.csv`, each with its source; whether one is about recorded or
//! about measured disease, it says.

mod measure;
mod page;
mod people;
mod target;

use std::fs;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use serde::Serialize;

use crate::Error;
use measure::{correlation, quantile};
use people::People;
use target::{Measure, Target};

pub use target::Kind;

/// What is asked of a population: the median of |z|, the share of metrics within |z| of 2, the mean of |Δr|.
pub const GOAL: Goal = Goal { median_z: 1.0, share_within_2: 0.8, mean_delta_r: 0.05 };

/// The tolerance where no standard error is published, as a share of the target.
const TOLERANCE: f64 = 0.02;

/// A population against the targets.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    /// People alive on the reference date.
    pub living: usize,
    /// The last day on which anything was observed: ages are as of this day.
    pub reference_date: NaiveDate,
    /// The figures in short.
    pub summary: Summary,
    /// What they should be.
    pub goal: Goal,
    /// One per target but correlations.
    pub metrics: Vec<Metric>,
    /// One per analyte and sex with published quartiles.
    pub quartiles: Vec<Quartiles>,
    /// One per pair and sex.
    pub correlations: Vec<Correlation>,
}

/// What a population is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// At most.
    pub median_z: f64,
    /// At least.
    pub share_within_2: f64,
    /// At most.
    pub mean_delta_r: f64,
}

/// The figures in short; what nobody was measured for takes no part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Metrics that could be computed.
    pub metrics: usize,
    /// Median of |z|.
    pub median_z: Option<f64>,
    /// The |z| that nine in ten metrics do not exceed.
    pub p90_z: Option<f64>,
    /// Share of metrics with |z| of at most 2.
    pub share_within_2: Option<f64>,
    /// Mean over the analytes of the distance between the quartiles, in interquartile ranges.
    pub mean_quartile_distance: Option<f64>,
    /// Pairs that could be computed.
    pub pairs: usize,
    /// Mean of |Δr| over the pairs.
    pub mean_delta_r: Option<f64>,
}

/// One metric against its target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// Its name.
    pub metric: String,
    /// About recorded or measured disease.
    pub kind: Kind,
    /// The published figure.
    pub target: f64,
    /// What the population has; nothing when nobody was measured.
    pub observed: Option<f64>,
    /// The sampling error of what the population has, were it a sample.
    pub observed_error: Option<f64>,
    /// People that it rests on.
    pub people: usize,
    /// `%`, or the unit of the values.
    pub unit: String,
    /// The deviation by the published standard error, or by 2 % of the target where that is more.
    pub z: Option<f64>,
    /// Where the target comes from.
    pub source: String,
}

/// The quartiles of one analyte.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quartiles {
    /// Its name.
    pub metric: String,
    /// First quartile, median and third quartile as published.
    pub target: [f64; 3],
    /// Those of the population.
    pub observed: [f64; 3],
    /// Mean distance between the two: what is left of the Wasserstein distance when only quartiles are published.
    pub distance: f64,
    /// The same in published interquartile ranges.
    pub relative_distance: f64,
}

/// One pair of analytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Correlation {
    /// Its name.
    pub metric: String,
    /// The published correlation.
    pub target: f64,
    /// That of the population.
    pub observed: Option<f64>,
    /// People with both values.
    pub people: usize,
    /// Where the target comes from.
    pub source: String,
}

/// Where a score was written.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenScore {
    /// The page for people.
    pub html: PathBuf,
    /// The same for programs.
    pub json: PathBuf,
}

/// Scores the population in a folder of NDJSON files named by resource type: `Patient.ndjson`, `Observation.1.ndjson`.
///
/// # Errors
/// When a file cannot be read or holds something else, or when there is nobody.
pub fn score(folder: &Path) -> Result<Score, Error> {
    let targets = target::read()?;
    let people = People::read(folder, &targets)?;
    Ok(Score::new(&people, &targets))
}

impl Score {
    fn new(people: &People, targets: &[Target]) -> Score {
        let mut score = Score {
            living: people.living.len(),
            reference_date: people.reference_date,
            summary: Summary::default(),
            goal: GOAL,
            metrics: Vec::new(),
            quartiles: Vec::new(),
            correlations: Vec::new(),
        };
        for target in targets {
            if target.measure == Measure::Correlation {
                let pairs = measure::pairs(people, target);
                score.correlations.push(Correlation {
                    metric: target.metric.clone(),
                    target: target.target,
                    observed: correlation(&pairs),
                    people: pairs.len(),
                    source: target.source.clone(),
                });
                continue;
            }
            let found = measure::measure(people, target);
            score.metrics.push(Metric {
                metric: target.metric.clone(),
                kind: target.kind,
                target: target.target,
                observed: found.value,
                observed_error: found.error,
                people: found.people,
                unit: target.unit.clone(),
                z: found.value.map(|value| z(value, target)),
                source: target.source.clone(),
            });
            score.quartiles.extend(quartiles(people, target));
        }
        score.summary = score.summarise();
        score
    }

    fn summarise(&self) -> Summary {
        let mut z: Vec<f64> = self.metrics.iter().filter_map(|metric| metric.z).map(f64::abs).collect();
        z.sort_unstable_by(f64::total_cmp);
        let within = z.iter().filter(|z| **z <= 2.0).count();
        let delta = |pair: &Correlation| Some((pair.observed? - pair.target).abs());
        let deltas: Vec<f64> = self.correlations.iter().filter_map(delta).collect();
        let distances: Vec<f64> = self.quartiles.iter().map(|quartiles| quartiles.relative_distance).collect();
        Summary {
            metrics: z.len(),
            median_z: quantile(&z, 0.5),
            p90_z: quantile(&z, 0.9),
            share_within_2: (!z.is_empty()).then(|| within as f64 / z.len() as f64),
            mean_quartile_distance: mean(&distances),
            pairs: deltas.len(),
            mean_delta_r: mean(&deltas),
        }
    }

    /// Writes `score.json` and `index.html` into a folder, which is created.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<WrittenScore, Error> {
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let written = WrittenScore { html: folder.join("index.html"), json: folder.join("score.json") };
        let text = serde_json::to_string_pretty(self).expect("a score is plain data") + "\n";
        fs::write(&written.json, text).map_err(Error::io(&written.json))?;
        fs::write(&written.html, page::render(self)).map_err(Error::io(&written.html))?;
        Ok(written)
    }
}

impl Summary {
    /// Whether each part of a goal is reached, in the order of its fields.
    pub fn reached(&self, goal: &Goal) -> [bool; 3] {
        [
            self.median_z.is_some_and(|z| z <= goal.median_z),
            self.share_within_2.is_some_and(|share| share >= goal.share_within_2),
            self.mean_delta_r.is_some_and(|delta| delta <= goal.mean_delta_r),
        ]
    }
}

fn z(value: f64, target: &Target) -> f64 {
    (value - target.target) / target.standard_error.unwrap_or(0.0).max(TOLERANCE * target.target.abs())
}

fn quartiles(people: &People, target: &Target) -> Option<Quartiles> {
    let (Measure::ValueMedian, Some(low), Some(high)) = (target.measure, target.low, target.high) else { return None };
    let values = measure::values(people, target);
    let published = [low, target.target, high];
    let observed = [quantile(&values, 0.25)?, quantile(&values, 0.5)?, quantile(&values, 0.75)?];
    let distance = published.iter().zip(observed).map(|(one, other)| (one - other).abs()).sum::<f64>() / 3.0;
    let metric = target.metric.replacen(", median of", ",", 1);
    Some(Quartiles { metric, target: published, observed, distance, relative_distance: distance / (high - low) })
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests;
