//! `healthlake validate`: checks the lake and writes the report.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use lake::Lake;
use model::quality::Check;
use validator::{Report, Written};

use crate::call::{Outcome, Run, open_lake};
use crate::config::Config;
use crate::global::{Format, Global};
use crate::{output, progress};

#[derive(Args)]
pub struct Arguments {
    /// The run to judge: its accounting is checked and the results bear its id [default: the last run of etl]
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Folder with the expected OMOP rows of the generator, <output>/omop, to compare row by row
    #[arg(long, value_name = "DIR")]
    oracle: Option<PathBuf>,
    /// Folder with the generator's manifest.json, <output>, that tells what must become of the resources of the run
    #[arg(long, value_name = "DIR")]
    manifests: Option<PathBuf>,
    /// Source whose rows are judged against the oracle [default: synthetic]
    #[arg(long, value_name = "NAME")]
    source_id: Option<String>,
    /// Folder for index.html and report.json [default: <lake>/report/<run>]
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

pub async fn run(global: &Global, config: Config, arguments: Arguments) -> Result<Outcome> {
    let mut run = Run::from_environment()?;
    let lake = open_lake(&config).await?;
    if let Some(id) = arguments.run {
        run.id = id;
    } else if std::env::var_os("PIPELINE_RUN_ID").is_none() {
        run.id = last_run(&lake).await?;
    }
    let source_id = arguments.source_id.unwrap_or_else(|| super::etl::source_id(&config, super::etl::SYNTHETIC));
    let folder = arguments.report.unwrap_or_else(|| report_folder(&config, &run));
    let truth = Truth { rows: arguments.oracle, manifests: arguments.manifests };
    let model_checks = model_checks(&lake, &config).await?;
    let (report, written) = validate(&lake, &config, &run, source_id, truth, model_checks, &folder).await?;
    if global.format == Format::Json {
        output::print_json(&report)?;
    } else {
        output::print(&summary(&report, &written))?;
    }
    Ok(if report.failed() > 0 { Outcome::Findings } else { Outcome::Done })
}

/// The tests of the models; none where no model stands in the lake, since nobody has asked for one yet.
async fn model_checks(lake: &Lake, config: &Config) -> Result<Vec<Check>> {
    let checks = config.project()?.checks();
    let mut standing: BTreeSet<String> = lake.tables().await?.iter().map(ToString::to_string).collect();
    standing.extend(lake.views().await?.keys().map(ToString::to_string));
    if checks.iter().any(|check| standing.contains(&check.table)) {
        return Ok(checks);
    }
    output::print_warning(
        "no model stands in the lake: their tests are left out\nhint: `healthlake sql run` builds them",
    );
    Ok(Vec::new())
}

/// Folders where the generator says what it meant: the expected rows, and the manifests.
#[derive(Default)]
pub struct Truth {
    pub rows: Option<PathBuf>,
    pub manifests: Option<PathBuf>,
}

/// Where the report of a run goes by default.
pub fn report_folder(config: &Config, run: &Run) -> PathBuf {
    config.folder().join("report").join(run.id.replace(':', "_"))
}

/// Runs all checks and writes the report.
pub async fn validate(
    lake: &Lake,
    config: &Config,
    run: &Run,
    source_id: String,
    truth: Truth,
    model_checks: Vec<Check>,
    folder: &Path,
) -> Result<(Report, Written)> {
    let options = validator::Options {
        run_id: run.id.clone(),
        started_at: run.started_at,
        source_id,
        policy: super::etl::policy(config),
        oracle: truth.rows,
        manifests: truth.manifests,
        model_checks,
        threads: config.threads(),
    };
    let bar = progress::count("validate", 0);
    let report = validator::validate(lake, &options, &|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })
    .await;
    bar.finish_and_clear();
    let report = report.context("cannot check the lake")?;
    let written = report.write(folder).with_context(|| format!("cannot write the report to `{}`", folder.display()))?;
    Ok((report, written))
}

/// The verdict for people.
pub fn summary(report: &Report, written: &Written) -> String {
    let mut text = format!(
        "checks: {} passed, {} failed\n",
        output::number(report.passed() as u64),
        output::number(report.failed() as u64)
    );
    let names = report.failed_names();
    for name in names.iter().take(10) {
        text += &format!("  failed: {name}\n");
    }
    if names.len() > 10 {
        text += &format!("  and {} more, in the report\n", names.len() - 10);
    }
    if let Some(oracle) = &report.oracle {
        text += &format!(
            "oracle: {} expected rows compared, {} mismatches\n",
            output::number(oracle.rows),
            output::number(oracle.mismatches)
        );
    }
    text + &format!("report: {}\n", written.html.display())
}

async fn last_run(lake: &Lake) -> Result<String> {
    // Rows that came from no files have no account.
    let sql = "select pipeline_run_id from quality.accounting union all select pipeline_run_id from omop.cdm_source \
               order by pipeline_run_id desc limit 1";
    let session = lake.session(&lake::AsOf::Latest).await?;
    let batches = match session.sql(sql).await {
        Ok(rows) => rows.collect().await?,
        Err(_) => Vec::new(),
    };
    let batch = batches.iter().find(|batch| batch.num_rows() > 0);
    let batch = batch.context("the lake has no run to judge\nhint: `healthlake run`, `healthlake etl` or `healthlake generate --into-lake` makes one")?;
    Ok(arrow::util::display::array_value_to_string(batch.column(0), 0)?)
}
