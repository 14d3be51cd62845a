//! `healthlake conformance`: the scorecard of the HL7 guide's statements with the manifest for programs, and the test
//! suites of other specifications.

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::call::Outcome;
use crate::config::Config;
use crate::global::Global;

mod manifest;
mod scorecard;
mod suite;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    suite: Option<Suite>,
    #[command(flatten)]
    scorecard: scorecard::ScorecardArguments,
}

#[derive(Subcommand)]
enum Suite {
    /// Cases of SQL on FHIR: views, resources and the rows expected of them
    SqlOnFhir(suite::Arguments),
}

pub async fn run(global: &Global, config: Config, arguments: Arguments) -> Result<Outcome> {
    match arguments.suite {
        Some(Suite::SqlOnFhir(arguments)) => suite::run(global, &arguments),
        None => scorecard::run(global, config, arguments.scorecard).await,
    }
}
