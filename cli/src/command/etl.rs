//! `healthlake etl`: FHIR R4 from files or stdin to the tables of the lake.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use etl::MedicationRequestPolicy;
use lake::Lake;

use super::{Format, Global, Outcome, Run};
use crate::config::Config;
use crate::{output, progress};

/// Name of the source of generated input.
pub const SYNTHETIC: &str = "synthetic";
/// Name of the source of other input, unless the user gives one.
pub const FHIR: &str = "fhir";

#[derive(Args)]
pub struct Arguments {
    /// Files, folders, globs, or - for stdin: .ndjson, .json, Bundles, each also as .gz
    #[arg(required = true, value_name = "PATH")]
    sources: Vec<String>,
    #[command(flatten)]
    pub mapping: Mapping,
}

/// How resources are mapped.
#[derive(Args)]
pub struct Mapping {
    /// Name of the source in keys and lineage [default: fhir]
    #[arg(long, value_name = "NAME")]
    pub source_id: Option<String>,
    /// Keep every resource as JSON in raw.resource_version
    #[arg(long)]
    pub keep_raw: bool,
    /// Which MedicationRequests become exposures: orders-as-exposure (default) or ig-strict
    #[arg(long, value_name = "POLICY", value_parser = parse_policy)]
    pub medication_request_policy: Option<MedicationRequestPolicy>,
    /// Keep street and city in omop.location
    #[arg(long)]
    pub keep_address: bool,
    /// Take the text of whole documents into omop.note; documents name people
    #[arg(long)]
    pub notes: bool,
    /// The input is all that the source has: what an earlier run took and is absent now is taken away
    #[arg(long)]
    pub complete: bool,
    /// Folder of ViewDefinitions: more tables in fhir, or others in the place of the built-in ones
    #[arg(long, value_name = "DIR")]
    pub views: Option<PathBuf>,
    /// Rejected records that are tolerated before the exit code is 1 [default: 0]
    #[arg(long, value_name = "N")]
    pub max_rejects: Option<u64>,
}

fn parse_policy(text: &str) -> Result<MedicationRequestPolicy, String> {
    serde_json::from_value(text.into()).map_err(|_| "expected `orders-as-exposure` or `ig-strict`".into())
}

impl Mapping {
    /// Lets the given values take precedence over the settings.
    pub fn apply(self, config: &mut Config) {
        let settings = &mut config.etl;
        if let Some(source_id) = self.source_id {
            settings.source_id = source_id;
        }
        settings.complete |= self.complete;
        settings.keep_raw |= self.keep_raw;
        settings.keep_address |= self.keep_address;
        settings.notes |= self.notes;
        settings.medication_request_policy =
            self.medication_request_policy.unwrap_or(settings.medication_request_policy);
        settings.views = self.views.unwrap_or(std::mem::take(&mut settings.views));
        config.pipeline.max_rejects = self.max_rejects.unwrap_or(config.pipeline.max_rejects);
    }
}

/// The name of the source: the setting, or what suits the input.
pub fn source_id(config: &Config, otherwise: &str) -> String {
    if config.etl.source_id.is_empty() { otherwise.to_owned() } else { config.etl.source_id.clone() }
}

pub async fn run(global: &Global, mut config: Config, arguments: Arguments) -> Result<Outcome> {
    arguments.mapping.apply(&mut config);
    let run = Run::from_environment()?;
    let lake = super::open_lake(&config).await?;
    let source_id = source_id(&config, FHIR);
    let outcome = map(&lake, &config, &run, arguments.sources, source_id).await?;
    if global.format == Format::Json {
        output::print_json(&outcome)?;
    } else {
        output::print(&format!("run {}\n\n{}\n{}", run.id, accounting_table(&outcome), rows_table(&outcome)))?;
    }
    let rejected = outcome.accounting.total().rejected;
    Ok(if rejected > config.pipeline.max_rejects { Outcome::Findings } else { Outcome::Done })
}

/// Maps the sources into the lake.
pub async fn map(
    lake: &Lake,
    config: &Config,
    run: &Run,
    sources: Vec<String>,
    source_id: String,
) -> Result<etl::Outcome> {
    let options = etl::Options {
        sources,
        source_id,
        run_id: run.id.clone(),
        started_at: run.started_at,
        keep_raw: config.etl.keep_raw,
        medication_request_policy: config.etl.medication_request_policy,
        keep_address: config.etl.keep_address,
        notes: config.etl.notes,
        complete: config.etl.complete,
        views: Some(config.etl.views.clone()).filter(|folder| !folder.as_os_str().is_empty()),
        threads: config.threads(),
    };
    let bar = progress::bytes("etl");
    let outcome = etl::run(lake, &options, &|progress| {
        bar.set_length(progress.bytes_total);
        bar.set_position(progress.bytes_done);
    })
    .await;
    bar.finish_and_clear();
    outcome.context("cannot map the input")
}

/// The accounting by resource type, with the reasons of what was not mapped.
pub fn accounting_table(outcome: &etl::Outcome) -> String {
    let row = |name: &str, counts: &model::quality::Counts| {
        let numbers = [counts.read, counts.mapped, counts.excluded, counts.rejected];
        std::iter::once(name.to_owned()).chain(numbers.map(output::number)).collect::<Vec<_>>()
    };
    let mut rows: Vec<_> = outcome.accounting.by_type.iter().map(|(name, counts)| row(name, counts)).collect();
    rows.push(row("all", &outcome.accounting.total()));
    let mut text = output::columns(&["resource", "read", "mapped", "excluded", "rejected"], &rows);
    for (title, reasons) in [("excluded", &outcome.exclusions), ("rejected", &outcome.rejections)] {
        let mut reasons: Vec<_> = reasons.iter().collect();
        reasons.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        for (reason, count) in reasons.iter().take(8) {
            text += &format!("  {title}: {} × {reason}\n", output::number(**count));
        }
        if reasons.len() > 8 {
            text += &format!("  {title}: {} more reasons in quality.*\n", reasons.len() - 8);
        }
    }
    text
}

/// Rows by table, those without rows left out.
pub fn rows_table(outcome: &etl::Outcome) -> String {
    let rows: Vec<_> = outcome
        .rows
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(table, count)| vec![table.clone(), output::number(*count)])
        .collect();
    output::columns(&["table", "rows written"], &rows)
}
