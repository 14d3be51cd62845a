//! `healthlake conformance`: the scorecard of the HL7 guide's statements and the manifest for programs.

use anyhow::Result;
use clap::Args;

use super::{Global, Outcome};
use crate::config::Config;

mod manifest;
mod scorecard;

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    scorecard: scorecard::ScorecardArguments,
}

pub async fn run(global: &Global, config: Config, arguments: Arguments) -> Result<Outcome> {
    scorecard::run(global, config, arguments.scorecard).await
}
