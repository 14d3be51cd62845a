//! The command line: one file per subcommand, and what they share, the run's identity.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use chrono::{NaiveDateTime, SubsecRound, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use lake::Lake;

use crate::config::Config;

mod conformance;
mod etl;
mod explain;
mod generate;
mod query;
mod run;
mod sql;
mod validate;
mod vocabulary;

/// A FHIR + OMOP lakehouse in one command.
///
/// Generates correlated synthetic patients or takes real FHIR R4, maps it to OMOP CDM 5.4, commits Apache Iceberg
/// tables, builds SQL models on them, and proves in a report that nothing was lost.
#[derive(Parser)]
#[command(name = "healthlake", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  healthlake run                                   1,000 synthetic patients, from seed to report
  healthlake run --fhir export/ --lake hospital    a folder of FHIR R4 NDJSON or Bundles
  healthlake query 'select * from metrics.utilisation'
  healthlake sql show marts.patient_timeline       columns, tests and lineage of a model

Exit codes: 0 done; 1 done and findings exist (a check failed, records were rejected); 2 could not be done.
Settings: cli/default.toml lists every key; HEALTHLAKE_<SECTION>_<KEY> and PIPELINE_RUN_ID are read from the environment.";

/// Options of every subcommand.
#[derive(Args)]
pub struct Global {
    /// Folder of the lake [default: lake]
    #[arg(long, global = true, value_name = "DIR")]
    pub lake: Option<PathBuf>,
    /// File with settings, as in cli/default.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// More log lines on stderr: -v info, -vv debug
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How results are printed on stdout.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// Comma-separated values with a header (query only)
    Csv,
}

#[derive(Subcommand)]
enum Command {
    /// The whole pipeline: generate or read FHIR, map, build models, validate, report
    Run(run::Arguments),
    /// Generate synthetic patients as FHIR R4 NDJSON, with the OMOP rows they mean
    Generate(generate::Arguments),
    /// Read FHIR R4 and commit the tables fhir.*, omop.* and quality.*
    Etl(etl::Arguments),
    /// Build, test, list or explain the SQL models
    Sql(sql::Arguments),
    /// Check the lake and write the quality report
    Validate(validate::Arguments),
    /// Ask the lake in SQL
    Query(query::Arguments),
    /// Tell which resource, rule and concept path made a row, and what became of a resource
    Explain(explain::Arguments),
    /// Show how the statements of the HL7 guide stand, or run suites of SQL on FHIR
    Conformance(conformance::Arguments),
    /// Import, describe or compare OMOP vocabularies
    Vocabulary(vocabulary::Arguments),
}

/// How a subcommand ended, when it could be done.
pub enum Outcome {
    /// Nothing to report.
    Done,
    /// A required check failed, or more records were rejected than allowed.
    Findings,
}

/// Runs the subcommand.
pub async fn run(arguments: Arguments) -> Result<Outcome> {
    let config = Config::load(&arguments.global)?;
    let global = &arguments.global;
    if !matches!(arguments.command, Command::Query(_)) {
        ensure!(global.format != Format::Csv, "`--format csv` is for `healthlake query` only\nhint: use json");
    }
    match arguments.command {
        Command::Run(command) => run::run(global, config, command).await,
        Command::Generate(command) => generate::run(global, config, command),
        Command::Etl(command) => etl::run(global, config, command).await,
        Command::Sql(command) => sql::run(global, config, command).await,
        Command::Validate(command) => validate::run(global, config, command).await,
        Command::Query(command) => query::run(global, config, command).await,
        Command::Explain(command) => explain::run(global, config, command).await,
        Command::Conformance(command) => conformance::run(global, config, command).await,
        Command::Vocabulary(command) => vocabulary::run(global, config, command).await,
    }
}

/// Opens the lake of the settings and makes it when there is none.
pub async fn open_lake(config: &Config) -> Result<Lake> {
    Lake::open(&config.lake()).await.with_context(|| format!("cannot open the lake `{}`", config.lake.path.display()))
}

/// Opens the lake of the settings, which must be there.
pub async fn existing_lake(config: &Config) -> Result<Lake> {
    let path = &config.lake.path;
    ensure!(
        path.join("catalog.db").exists(),
        "there is no lake in `{}`\nhint: `healthlake run` makes one; `--lake DIR` names another folder",
        path.display()
    );
    open_lake(config).await
}

/// The identity of a run: its id and the moment that its rows bear.
#[derive(Clone)]
pub struct Run {
    /// `PIPELINE_RUN_ID`, or a fresh UUIDv7.
    pub id: String,
    /// When the run started, in UTC.
    pub started_at: NaiveDateTime,
}

impl Run {
    /// Takes the id from the environment, so that an orchestrator can repeat a run, or makes one.
    pub fn from_environment() -> Result<Run> {
        let started_at = Utc::now().naive_utc().trunc_subsecs(6);
        let id = match std::env::var("PIPELINE_RUN_ID") {
            Ok(id) => id,
            Err(std::env::VarError::NotPresent) => uuid::Uuid::now_v7().to_string(),
            Err(error) => return Err(anyhow::Error::new(error).context("cannot read `PIPELINE_RUN_ID`")),
        };
        let sound = id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c));
        ensure!(
            !id.is_empty() && id.len() <= 128 && sound && !id.starts_with('.'),
            "`PIPELINE_RUN_ID` is `{id}`, expected 1 to 128 letters, digits, `-`, `_`, `.` or `:`"
        );
        Ok(Run { id, started_at })
    }
}
