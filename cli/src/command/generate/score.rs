//! `healthlake generate score`: how close a population comes to published figures.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use generator::{Metric, Score, WrittenScore};

use crate::call::Outcome;
use crate::global::{Format, Global};
use crate::output;

pub fn run(global: &Global, folder: &Path, output_folder: PathBuf) -> Result<Outcome> {
    let score = generator::score(folder).with_context(|| format!("cannot score `{}`", folder.display()))?;
    let written = score.write(&output_folder).context("cannot write the score")?;
    if global.format == Format::Json {
        output::print_json(&score)?;
    } else {
        output::print(&text(&score, &written))?;
    }
    Ok(Outcome::Done)
}

fn text(score: &Score, written: &WrittenScore) -> String {
    let rows: Vec<Vec<String>> = score.metrics.iter().map(row).collect();
    let mut text = output::columns(&["metric", "target", "observed", "± sampling", "z", "people"], &rows);
    let pairs: Vec<Vec<String>> = score
        .correlations
        .iter()
        .map(|pair| {
            let people = output::number(pair.people as u64);
            vec![pair.metric.clone(), format!("{:.2}", pair.target), figure(pair.observed, 2), people]
        })
        .collect();
    text += &format!("\n{}\n", output::columns(&["correlation", "target", "observed", "people"], &pairs));
    let (summary, goal) = (&score.summary, &score.goal);
    let reached = summary.reached(goal).map(|reached| if reached { "reached" } else { "not reached" });
    let share = |share: Option<f64>| figure(share.map(|share| 100.0 * share), 0);
    text += &format!(
        "{} people alive on {}, {} metrics, {} pairs\n",
        output::number(score.living as u64),
        score.reference_date,
        summary.metrics,
        summary.pairs
    );
    text += &format!("median |z| {}, goal at most {}: {}\n", figure(summary.median_z, 2), goal.median_z, reached[0]);
    text += &format!(
        "within |z| of 2: {} %, goal at least {} %: {}\n",
        share(summary.share_within_2),
        share(Some(goal.share_within_2)),
        reached[1]
    );
    text +=
        &format!("mean |Δr| {}, goal at most {}: {}\n", figure(summary.mean_delta_r, 3), goal.mean_delta_r, reached[2]);
    text + &format!("page {}\n", written.html.display())
}

fn row(metric: &Metric) -> Vec<String> {
    let decimals = if metric.target.abs() < 2.0 { 2 } else { 1 };
    vec![
        metric.metric.clone(),
        format!("{:.decimals$} {}", metric.target, metric.unit),
        figure(metric.observed, decimals),
        figure(metric.observed_error, decimals),
        figure(metric.z, 1),
        output::number(metric.people as u64),
    ]
}

fn figure(value: Option<f64>, decimals: usize) -> String {
    value.map_or("–".into(), |value| format!("{value:.decimals$}"))
}
