//! `healthlake pipeline`: runs of the state machine of infra/ on AWS. A run's name there is its run id.

mod estimate;
mod history;
mod input;
mod start;
mod status;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use lake::{Aws, AwsService};

use crate::call::Outcome;
use crate::config::Config;
use crate::global::Global;

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a run on AWS, under PIPELINE_RUN_ID or a fresh run id
    Start(start::Arguments),
    /// Tell what became of a run: its stages, the shards that failed and why
    #[command(after_help = status::EXIT_CODES)]
    Status(status::Arguments),
    /// Estimate the tasks, hours, requests, storage and cost of a run
    Estimate(estimate::Arguments),
}

pub async fn run(global: &Global, config: Config, arguments: Arguments) -> Result<Outcome> {
    match arguments.command {
        Command::Start(command) => start::run(global, &config, command).await,
        Command::Status(command) => status::run(global, &config, command).await,
        Command::Estimate(command) => estimate::run(global, command),
    }
}

/// Which state machine.
#[derive(Args)]
struct Machine {
    /// The state machine: the output StateMachineArn of the stack HealthlakePipeline
    #[arg(long, value_name = "ARN")]
    state_machine: Option<String>,
}

/// A state machine, and the service that it lives in.
struct StateMachine {
    arn: String,
    requests: Aws,
}

impl Machine {
    fn open(self, config: &Config) -> Result<StateMachine> {
        let arn = self.state_machine.unwrap_or_else(|| config.pipeline.state_machine.clone());
        let region = region(&arn)?.to_owned();
        let requests = config.aws(AwsService::StepFunctions, Some(&region))?;
        Ok(StateMachine { arn, requests })
    }
}

impl StateMachine {
    /// The ARN of a run.
    fn execution(&self, run_id: &str) -> String {
        format!("{}:{run_id}", self.arn.replacen(":stateMachine:", ":execution:", 1))
    }
}

/// The region of `arn:aws:states:REGION:ACCOUNT:stateMachine:NAME`.
fn region(arn: &str) -> Result<&str> {
    let parts: Vec<_> = arn.split(':').collect();
    match parts.as_slice() {
        ["arn", _, "states", region, _, "stateMachine", _] => Ok(region),
        [""] => Err(anyhow!(
            "which state machine is not known\nhint: `--state-machine ARN`, or HEALTHLAKE_PIPELINE_STATE_MACHINE; the \
             stack HealthlakePipeline tells it as StateMachineArn"
        )),
        _ => Err(anyhow!("`{arn}` is no state machine, expected arn:aws:states:REGION:ACCOUNT:stateMachine:NAME")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_tells_the_region() {
        assert_eq!(region("arn:aws:states:eu-west-1:123456789012:stateMachine:healthlake").unwrap(), "eu-west-1");
        assert!(region("").unwrap_err().to_string().contains("hint: `--state-machine ARN`"));
        assert!(region("healthlake").unwrap_err().to_string().contains("`healthlake` is no state machine"));
    }
}
