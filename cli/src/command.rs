//! The command line: one file per subcommand.

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

use crate::call::Outcome;
use crate::config::Config;
use crate::global::{Format, Global};

mod catalog;
mod conformance;
mod etl;
mod explain;
mod generate;
mod pipeline;
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
    /// Serve the lake's catalog to other programs
    Catalog(catalog::Arguments),
    /// Import, describe or compare OMOP vocabularies
    Vocabulary(vocabulary::Arguments),
    /// Start runs on AWS and tell what became of them
    Pipeline(pipeline::Arguments),
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
        Command::Generate(command) => generate::run(global, config, command).await,
        Command::Etl(command) => etl::run(global, config, command).await,
        Command::Sql(command) => sql::run(global, config, command).await,
        Command::Validate(command) => validate::run(global, config, command).await,
        Command::Query(command) => query::run(global, config, command).await,
        Command::Explain(command) => explain::run(global, config, command).await,
        Command::Conformance(command) => conformance::run(global, config, command).await,
        Command::Catalog(command) => catalog::run(global, config, command).await,
        Command::Vocabulary(command) => vocabulary::run(global, config, command).await,
        Command::Pipeline(command) => pipeline::run(global, config, command).await,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::{CommandFactory, Parser};

    use super::Arguments;

    #[test]
    fn what_the_state_machine_says_can_be_typed() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/test/command.json");
        let commands: BTreeMap<String, Vec<String>> =
            serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        for (name, words) in commands {
            let parsed = Arguments::try_parse_from(std::iter::once("healthlake".to_owned()).chain(words));
            assert!(parsed.is_ok(), "{name}: {}", parsed.err().unwrap());
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
