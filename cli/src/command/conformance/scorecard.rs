//! The scorecard: printed, and written with the manifest beside the lake's reports.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use validator::{Scorecard, Standing, Verdict};

use super::manifest;
use crate::call::{Outcome, existing_lake};
use crate::command::etl;
use crate::config::Config;
use crate::global::{Format, Global};
use crate::output;

#[derive(Args)]
pub struct ScorecardArguments {
    /// Print the manifest instead: what is read, what is filled, with which versions and policies
    #[arg(long)]
    manifest: bool,
    /// Folder for scorecard.json, scorecard.html and manifest.json [default: <lake>/conformance]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub async fn run(global: &Global, config: Config, arguments: ScorecardArguments) -> Result<Outcome> {
    // Without a lake the tests speak for themselves; a lake adds what its checks found.
    let lake = if config.lake_may_exist() { Some(existing_lake(&config).await?) } else { None };
    let card = validator::scorecard(lake.as_ref(), &config.governance, etl::SYNTHETIC)
        .await
        .context("cannot read the lake's results")?;
    let manifest = manifest::of(&config, lake.as_ref(), &card).await?;
    let folder = match (arguments.output, &lake) {
        (Some(folder), _) => Some(folder),
        (None, Some(_)) => Some(config.folder().join("conformance")),
        (None, None) => None,
    };
    let mut written = None;
    if let Some(folder) = folder {
        written = Some(card.write(&folder)?);
        let path = folder.join("manifest.json");
        let json = serde_json::to_string_pretty(&manifest).context("the manifest is not JSON")?;
        std::fs::write(&path, json).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    match (arguments.manifest, global.format) {
        (true, _) => output::print_json(&manifest)?,
        (false, Format::Json) => output::print_json(&card)?,
        (false, _) => output::print(&text(&card, written))?,
    }
    Ok(if card.statements.iter().any(is_failed_check) { Outcome::Findings } else { Outcome::Done })
}

/// True when a check of the lake failed; what is known not to hold is no finding of this run.
fn is_failed_check(verdict: &Verdict) -> bool {
    verdict.checks.iter().any(|tally| tally.failed > 0)
}

fn text(card: &Scorecard, written: Option<PathBuf>) -> String {
    let row = |verdict: &Verdict| {
        let note = if verdict.note.is_empty() {
            verdict.requirement.clone()
        } else {
            format!("{} ({})", verdict.requirement, verdict.note)
        };
        vec![verdict.id.clone(), verdict.level.clone(), word(verdict.status).into(), shown_by(verdict), note]
    };
    let rows: Vec<_> = card.statements.iter().map(row).collect();
    let mut text = output::listing(&["statement", "level", "standing", "shown by", "what is asked"], &rows);
    let counts = [Standing::Pass, Standing::Declared, Standing::NotApplicable, Standing::Fail]
        .map(|standing| format!("{} {}", card.count(standing), word(standing).to_lowercase()));
    text += &format!("\n{}: {}\n", card.guide, counts.join(", "));
    text += &match &card.pipeline_run_id {
        Some(run) => {
            format!("checks of run {run}, vocabulary {}\n", card.vocabulary_version.as_deref().unwrap_or("unknown"))
        }
        None => "no validated run: tests only\n".to_owned(),
    };
    if let Some(page) = written {
        text += &format!("page: {}\n", page.display());
    }
    text
}

fn shown_by(verdict: &Verdict) -> String {
    let passed: u64 = verdict.checks.iter().map(|tally| tally.passed).sum();
    let failed: u64 = verdict.checks.iter().map(|tally| tally.failed).sum();
    let mut parts = Vec::new();
    if failed > 0 {
        parts.push(format!("{failed} failed checks"));
    } else if passed > 0 {
        parts.push(format!("{passed} checks"));
    }
    if !verdict.tests.is_empty() {
        parts.push(format!("{} tests", verdict.tests.len()));
    }
    if !verdict.declared_in.is_empty() {
        parts.push("manifest".into());
    }
    if parts.is_empty() { "-".into() } else { parts.join(", ") }
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Pass => "pass",
        Standing::Fail => "FAIL",
        Standing::Declared => "declared",
        Standing::NotApplicable => "not applicable",
    }
}
