//! `healthlake etl`: FHIR R4 from files or stdin to the tables of the lake.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use etl::{MedicationRequestPolicy, TableChoice};
use lake::Lake;

use crate::call::{Outcome, Run, existing_lake, open_lake};
use crate::config::Config;
use crate::global::{Format, Global};
use crate::{output, progress};

/// Name of the source of generated input.
pub const SYNTHETIC: &str = "synthetic";
/// Name of the source of other input, unless the user gives one.
pub const FHIR: &str = "fhir";

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Files, folders, globs, or - for stdin: .ndjson, .json, Bundles, each also as .gz
    #[arg(required_unless_present = "csv", value_name = "PATH")]
    sources: Vec<String>,
    /// Folder of comma-separated files instead, .csv or .csv.gz
    #[arg(long, value_name = "DIR", requires = "csv_mapping", conflicts_with = "sources")]
    csv: Option<String>,
    /// What their rows mean: a mapping file, or synthea for the export of Synthea
    #[arg(long = "mapping", value_name = "FILE", requires = "csv")]
    csv_mapping: Option<String>,
    #[command(flatten)]
    mapping: Mapping,
}

#[derive(Subcommand)]
enum Command {
    /// Map anew what --keep-raw kept, with the rules and vocabulary of today, without the files
    #[command(
        mut_arg("source_id", |source_id| source_id.help("Only this source [default: each that was kept]")),
        mut_arg("keep_raw", |keep_raw| keep_raw.hide(true)),
        mut_arg("complete", |complete| complete.hide(true))
    )]
    Backfill(Mapping),
}

/// How resources are mapped.
#[derive(Args)]
pub struct Mapping {
    /// Name of the source in keys and lineage [default: synthetic for generated input, else fhir]
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
    /// Force a resource type's events into a table, such as Observation=observation; may be repeated
    #[arg(long, value_name = "TYPE=TABLE")]
    pub omop_table: Vec<String>,
    /// Write fhir, raw and quality only
    #[arg(long)]
    pub no_omop: bool,
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
        settings.no_omop |= self.no_omop;
        if !self.omop_table.is_empty() {
            settings.omop_table = self.omop_table.join(" ");
        }
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
    let Arguments { command, sources, csv, csv_mapping, mapping } = arguments;
    let run = Run::from_environment()?;
    if let Some(Command::Backfill(mapping)) = command {
        mapping.apply(&mut config);
        return backfill(global, &config, &run).await;
    }
    mapping.apply(&mut config);
    let lake = open_lake(&config).await?;
    let source_id = source_id(&config, FHIR);
    let input = match csv.zip(csv_mapping) {
        Some((folder, mapping)) => Input::Rows { folder, mapping },
        None => Input::Resources(sources),
    };
    let outcome = map(&lake, &config, &run, input, source_id).await?;
    if global.format == Format::Json {
        output::print_json(&outcome)?;
    } else {
        output::print(&format!("run {}\n\n{}", run.id, tables(&outcome)))?;
    }
    Ok(verdict(&config, outcome.accounting.total().rejected))
}

/// Maps anew what the lake kept of one source, or of each.
async fn backfill(global: &Global, config: &Config, run: &Run) -> Result<Outcome> {
    let lake = existing_lake(config).await?;
    let sources = match config.etl.source_id.as_str() {
        "" => etl::kept_sources(&lake).await?,
        source_id => vec![source_id.to_owned()],
    };
    ensure!(
        !sources.is_empty(),
        "the lake keeps no resources in `raw.resource_version`\nhint: `healthlake etl --keep-raw PATH` keeps them; \
         without them, give the files to `healthlake etl` again"
    );
    let mut done = BTreeMap::new();
    for source_id in sources {
        let options = options(config, run, Input::Resources(Vec::new()), source_id.clone())?;
        let bar = progress::bytes("backfill");
        let filled = etl::backfill(&lake, &options, &|progress| {
            bar.set_length(progress.bytes_total);
            bar.set_position(progress.bytes_done);
        })
        .await;
        bar.finish_and_clear();
        done.insert(source_id.clone(), filled.with_context(|| format!("cannot map source `{source_id}` anew"))?);
    }
    if global.format == Format::Json {
        output::print_json(&done)?;
    } else {
        let mut text = format!("run {}\n", run.id);
        for (source_id, filled) in &done {
            text += &format!("\nsource {source_id}\n{}", tables(&filled.outcome));
            if filled.not_kept > 0 {
                let count = output::number(filled.not_kept);
                text +=
                    &format!("{count} resources with rows were not kept as they came: their rows are as they were\n");
            }
        }
        output::print(&text)?;
    }
    Ok(verdict(config, done.values().map(|filled| filled.outcome.accounting.total().rejected).sum()))
}

fn verdict(config: &Config, rejected: u64) -> Outcome {
    if rejected > config.pipeline.max_rejects { Outcome::Findings } else { Outcome::Done }
}

/// What is read.
pub enum Input {
    /// Files, folders, patterns or standard input.
    Resources(Vec<String>),
    /// Comma-separated files and their mapping.
    Rows { folder: String, mapping: String },
}

/// What the mapping is told to do, as it is recorded with the run.
pub fn policy(config: &Config) -> String {
    let settings = &config.etl;
    let policy = serde_json::to_value(settings.medication_request_policy).unwrap_or_default();
    let mut text = format!(
        "medication_request_policy={} keep_address={} notes={} no_omop={}",
        policy.as_str().unwrap_or_default(),
        settings.keep_address,
        settings.notes,
        settings.no_omop
    );
    if !settings.omop_table.is_empty() {
        text += &format!(" omop_table={}", settings.omop_table.replace(char::is_whitespace, ","));
    }
    text
}

fn options(config: &Config, run: &Run, input: Input, source_id: String) -> Result<etl::Options> {
    let choices: Vec<&str> = config.etl.omop_table.split([' ', ',']).filter(|choice| !choice.is_empty()).collect();
    let (sources, rows) = match input {
        Input::Resources(sources) => (sources, None),
        Input::Rows { folder, mapping } => (Vec::new(), Some((folder, mapping))),
    };
    Ok(etl::Options {
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
        rows,
        table_choice: TableChoice::parse(&choices)?,
        no_omop: config.etl.no_omop,
        threads: config.threads(),
    })
}

/// Maps the input into the lake.
pub async fn map(lake: &Lake, config: &Config, run: &Run, input: Input, source_id: String) -> Result<etl::Outcome> {
    let options = options(config, run, input, source_id)?;
    let bar = progress::bytes("etl");
    let outcome = etl::run(lake, &options, &|progress| {
        bar.set_length(progress.bytes_total);
        bar.set_position(progress.bytes_done);
    })
    .await;
    bar.finish_and_clear();
    outcome.context("cannot map the input")
}

/// What became of the input, and what was written.
fn tables(outcome: &etl::Outcome) -> String {
    let mut text = format!("{}\n{}", accounting_table(outcome), rows_table(outcome));
    text += &warnings(outcome);
    text
}

/// Concepts of the rules that the loaded vocabulary does not have as they should be.
pub fn warnings(outcome: &etl::Outcome) -> String {
    let count = outcome.concept_warnings.len();
    if count == 0 {
        return String::new();
    }
    let mut text =
        format!("\nvocabulary {}: {count} concepts of the rules are not as expected\n", outcome.vocabulary_version);
    for warning in outcome.concept_warnings.iter().take(5) {
        text += &format!("  {warning}\n");
    }
    if count > 5 {
        text += &format!("  and {} more in quality.concept_check\n", count - 5);
    }
    text
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
