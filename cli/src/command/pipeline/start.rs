//! `healthlake pipeline start`: one execution of the state machine.

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;

use super::input::Input;
use super::{Machine, StateMachine, status};
use crate::call::{Outcome, Run};
use crate::config::Config;
use crate::global::{Format, Global};
use crate::output;

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    machine: Machine,
    /// Follow the run to its end
    #[arg(long)]
    wait: bool,
}

pub async fn run(global: &Global, config: &Config, arguments: Arguments) -> Result<Outcome> {
    let run = Run::from_environment()?;
    arguments.input.check(&run.id)?;
    let machine = arguments.machine.open(config)?;
    let execution_arn = start(&machine, &run.id, &arguments.input).await?;
    if arguments.wait {
        return status::follow(global, &machine, &run.id).await;
    }
    if global.format == Format::Json {
        let started = json!({ "pipeline_run_id": run.id, "execution_arn": execution_arn, "status": "RUNNING" });
        output::print_json(&started)?;
    } else {
        output::print(&format!("run {} has started: {execution_arn}\n", run.id))?;
    }
    Ok(Outcome::Done)
}

/// Starts the run. Step Functions takes the same name with the same input for the same run while that one is under way.
async fn start(machine: &StateMachine, run_id: &str, input: &Input) -> Result<String> {
    let asked = json!({ "stateMachineArn": machine.arn, "name": run_id, "input": serde_json::to_string(input)? });
    match machine.requests.repeat("StartExecution", &asked).await {
        Ok(started) => started["executionArn"].as_str().map(str::to_owned).context("the run that started has no ARN"),
        Err(fault) if fault.kind == "ExecutionAlreadyExists" => bail!(
            "run `{run_id}` was started before\nhint: `healthlake pipeline status {run_id}`; another run needs another \
             PIPELINE_RUN_ID"
        ),
        Err(fault) => Err(fault).with_context(|| format!("run `{run_id}` cannot be started")),
    }
}
