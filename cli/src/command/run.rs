//! `healthlake run`: the whole pipeline, from seed or files to the report.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use generator::Shard;
use lake::Lake;
use model::quality::{Accounting, Counts};
use serde::Serialize;
use validator::{Report, Written};

use super::etl::Mapping;
use super::generate::Population;
use super::validate::Truth;
use crate::call::{Outcome, Run, open_lake};
use crate::config::Config;
use crate::global::{Format, Global};
use crate::output;

#[derive(Args)]
pub struct Arguments {
    /// Real FHIR instead of synthetic patients: a file, folder, glob, or - for stdin; may be repeated
    #[arg(long, value_name = "PATH")]
    fhir: Vec<String>,
    #[command(flatten)]
    population: Population,
    #[command(flatten)]
    mapping: Mapping,
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Summary {
    pipeline_run_id: String,
    already_committed: bool,
    accounting: AccountingSummary,
    tables: BTreeMap<String, u64>,
    checks: CheckSummary,
    oracle: Option<OracleSummary>,
    report: PathBuf,
    seconds: BTreeMap<&'static str, f64>,
    peak_memory_bytes: Option<u64>,
}

#[derive(Serialize)]
struct AccountingSummary {
    #[serde(flatten)]
    total: Counts,
    by_type: BTreeMap<String, Counts>,
}

#[derive(Serialize)]
struct CheckSummary {
    passed: usize,
    failed: usize,
    failed_names: Vec<String>,
}

#[derive(Serialize)]
struct OracleSummary {
    rows: u64,
    mismatches: u64,
}

pub async fn run(global: &Global, mut config: Config, arguments: Arguments) -> Result<Outcome> {
    let real_input = !arguments.fhir.is_empty();
    ensure!(
        !(real_input && arguments.population.is_given()),
        "`--fhir` reads patients, and `--patients`, `--seed` and the like make them\nhint: leave one of them out"
    );
    arguments.population.apply(&mut config);
    arguments.mapping.apply(&mut config);
    let run = Run::from_environment()?;
    let mut stages = Stages::default();

    let lake = open_lake(&config).await?;
    let (sources, source_id, truth) = if real_input {
        (arguments.fhir, super::etl::source_id(&config, super::etl::FHIR), Truth::default())
    } else {
        let folder = generate(&config)?;
        config.etl.complete = true;
        stages.done("generate");
        let source = folder.join("fhir").display().to_string();
        let truth = Truth { rows: Some(folder.join("omop")), manifests: Some(folder) };
        (vec![source], super::etl::source_id(&config, super::etl::SYNTHETIC), truth)
    };
    // Rows that were forced elsewhere, or not made, are not those that the generator means.
    let is_usual = !config.etl.no_omop && config.etl.omop_table.is_empty();
    let truth = if is_usual { truth } else { Truth::default() };
    let input = super::etl::Input::Resources(sources);
    let mapped = super::etl::map(&lake, &config, &run, input, source_id.clone()).await?;
    stages.done("etl");
    let project = config.project()?;
    let built = super::sql::build(&lake, &config, &project, &run, super::sql::Selection::default()).await?;
    stages.done("sql");
    let folder = super::validate::report_folder(&config, &run);
    let (report, written) =
        super::validate::validate(&lake, &config, &run, source_id, truth, project.checks(), &folder).await?;
    stages.done("validate");

    let tables = row_counts(&lake).await?;
    if global.format == Format::Json {
        output::print_json(&summary(&run, &mapped, tables, &report, written, &stages))?;
    } else {
        output::print(&text(&run, &config, &mapped, &tables, &built, &report, &written, &stages))?;
    }
    let rejected = mapped.accounting.total().rejected;
    let findings = rejected > config.pipeline.max_rejects || report.failed() > 0 || super::sql::failed(&built) > 0;
    Ok(if findings { Outcome::Findings } else { Outcome::Done })
}

/// Generates into the lake's folder, in the place of what an earlier run generated there.
fn generate(config: &Config) -> Result<PathBuf> {
    let folder = config.folder().join("synthetic");
    for part in ["fhir", "omop", "updates"] {
        let part = folder.join(part);
        if part.exists() {
            fs::remove_dir_all(&part).with_context(|| format!("cannot remove `{}`", part.display()))?;
        }
    }
    super::generate::generate(config, Shard { index: 1, count: 1 }, 0, &folder)?;
    Ok(folder)
}

async fn row_counts(lake: &Lake) -> Result<BTreeMap<String, u64>> {
    let counts = lake.row_counts().await?;
    Ok(counts.into_iter().map(|(table, rows)| (table.to_string(), rows)).collect())
}

fn summary(
    run: &Run,
    mapped: &etl::Outcome,
    tables: BTreeMap<String, u64>,
    report: &Report,
    written: Written,
    stages: &Stages,
) -> Summary {
    let Accounting { by_type } = mapped.accounting.clone();
    Summary {
        pipeline_run_id: run.id.clone(),
        already_committed: mapped.already_committed,
        accounting: AccountingSummary { total: mapped.accounting.total(), by_type },
        tables,
        checks: CheckSummary { passed: report.passed(), failed: report.failed(), failed_names: report.failed_names() },
        oracle: report.oracle.as_ref().map(|oracle| OracleSummary { rows: oracle.rows, mismatches: oracle.mismatches }),
        report: written.html,
        seconds: stages.seconds.iter().copied().collect(),
        peak_memory_bytes: peak_memory_bytes(),
    }
}

#[allow(clippy::too_many_arguments, reason = "the end of the run reports on everything that it did")]
fn text(
    run: &Run,
    config: &Config,
    mapped: &etl::Outcome,
    tables: &BTreeMap<String, u64>,
    built: &sql::Outcome,
    report: &Report,
    written: &Written,
    stages: &Stages,
) -> String {
    let mut text = format!("run {}\n\n{}\n", run.id, super::etl::accounting_table(mapped));
    let rows: Vec<_> = tables
        .iter()
        .filter(|(_, rows)| **rows > 0)
        .map(|(table, rows)| vec![table.clone(), output::number(*rows)])
        .collect();
    text += &output::columns(&["table", "rows"], &rows);
    text += "\n";
    if mapped.already_committed {
        text += "the input was committed by this run before: nothing was written\n";
    }
    text += &super::etl::warnings(mapped);
    text += &super::sql::failures(built);
    text += &super::validate::summary(report, written);
    text += &stages.line(mapped);
    let lake = config.lake.path.display();
    text += &format!(
        "\ntry\n  \
         healthlake query --lake {lake} 'select * from metrics.chronic_condition_prevalence limit 10'\n  \
         healthlake query --lake {lake} 'select * from marts.patient_timeline limit 10'\n  \
         healthlake query --lake {lake} \"select * from quality.check_result where status <> 'passed'\"\n"
    );
    text
}

/// Seconds by stage.
struct Stages {
    started: Instant,
    seconds: Vec<(&'static str, f64)>,
}

impl Default for Stages {
    fn default() -> Self {
        Stages { started: Instant::now(), seconds: Vec::new() }
    }
}

impl Stages {
    fn done(&mut self, stage: &'static str) {
        self.seconds.push((stage, self.started.elapsed().as_secs_f64()));
        self.started = Instant::now();
    }

    fn line(&self, mapped: &etl::Outcome) -> String {
        let total: f64 = self.seconds.iter().map(|(_, seconds)| seconds).sum();
        let parts: Vec<_> = self.seconds.iter().map(|(stage, seconds)| format!("{stage} {seconds:.1}")).collect();
        let mut text = format!("time: {total:.1} s ({})", parts.join(", "));
        let etl = self.seconds.iter().find(|(stage, _)| *stage == "etl").map_or(0.0, |(_, seconds)| *seconds);
        if etl > 0.0 && !mapped.already_committed {
            let rows: u64 = mapped.rows.values().sum();
            text += &format!("; etl {} rows/s", output::number((rows as f64 / etl) as u64));
        }
        if let Some(bytes) = peak_memory_bytes() {
            text += &format!("; peak memory {} MiB", output::number(bytes >> 20));
        }
        text + "\n"
    }
}

/// The most memory that the process ever held, where the operating system says (Linux: `VmHWM`).
fn peak_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes << 10)
}
