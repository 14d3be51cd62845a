//! `healthlake pipeline status`: what became of a run, or, followed to its end, what becomes of it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use lake::AwsFault;
use serde::Serialize;
use serde_json::{Value, json};

use super::history::{History, Stage, StageStatus, seconds, told};
use super::{Machine, StateMachine};
use crate::call::Outcome;
use crate::config::Config;
use crate::global::{Format, Global};
use crate::{output, progress};

pub const EXIT_CODES: &str = "\
Exit codes: 0 done, or still running; 1 done and findings exist; 2 the run failed, or could not be asked for.";

/// Failed shards that are told one by one.
const TOLD_SHARDS: usize = 20;
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Stages of a run beside the shards: etl, sql, validate, report.
const OTHER_STAGES: u64 = 4;

#[derive(Args)]
pub struct Arguments {
    /// The run: its id, which is the name of the execution
    run_id: String,
    #[command(flatten)]
    machine: Machine,
    /// Follow the run to its end
    #[arg(long)]
    wait: bool,
}

/// A run as it stands.
#[derive(Debug, Serialize)]
struct Status {
    pipeline_run_id: String,
    execution_arn: String,
    /// As Step Functions says it: `RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT`, `ABORTED`.
    status: String,
    /// Whether a run that is done has findings.
    findings: bool,
    started_at: Option<String>,
    ended_at: Option<String>,
    error: Option<String>,
    cause: Option<String>,
    stages: Vec<Stage>,
    shards: Option<Shards>,
}

/// The shards of a run that generates patients.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Shards {
    total: u64,
    succeeded: u64,
    failed: u64,
    running: u64,
    /// The first of those that failed.
    failures: Vec<FailedShard>,
    /// Why they cannot be told one by one.
    untold: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct FailedShard {
    /// As in `generate --shard`: which of how many.
    shard: String,
    execution_arn: String,
    cause: String,
}

pub async fn run(global: &Global, config: &Config, arguments: Arguments) -> Result<Outcome> {
    let machine = arguments.machine.open(config)?;
    if arguments.wait {
        return follow(global, &machine, &arguments.run_id).await;
    }
    tell(global, &ask(&machine, &arguments.run_id).await?)
}

/// Waits for the end of a run, and tells it.
pub async fn follow(global: &Global, machine: &StateMachine, run_id: &str) -> Result<Outcome> {
    let bar = progress::count("pipeline", OTHER_STAGES);
    let mut pause = SHORTEST_PAUSE;
    let status = loop {
        let status = ask(machine, run_id).await?;
        bar.set_length(OTHER_STAGES + status.shards.as_ref().map_or(0, |shards| shards.total));
        bar.set_position(status.done());
        if let Some(stage) = status.stages.last() {
            bar.set_message(stage.state.clone());
        }
        if !status.is_running() {
            break status;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    };
    bar.finish_and_clear();
    tell(global, &status)
}

impl Status {
    fn is_running(&self) -> bool {
        ["RUNNING", "PENDING_REDRIVE"].contains(&self.status.as_str())
    }

    /// Shards and other stages that are done.
    fn done(&self) -> u64 {
        let stages = self.stages.iter().filter(|stage| stage.attempts > 0 && stage.status != StageStatus::Running);
        stages.count() as u64 + self.shards.as_ref().map_or(0, |shards| shards.succeeded)
    }
}

async fn ask(machine: &StateMachine, run_id: &str) -> Result<Status> {
    let execution_arn = machine.execution(run_id);
    let asked = json!({ "executionArn": execution_arn });
    let mut execution = match machine.requests.repeat("DescribeExecution", &asked).await {
        Ok(execution) => execution,
        Err(fault) if fault.kind == "ExecutionDoesNotExist" => {
            bail!("state machine `{}` has no run `{run_id}`", machine.arn);
        }
        Err(fault) => return Err(fault).with_context(|| format!("cannot ask for run `{run_id}`")),
    };
    let reading = || format!("cannot read the history of run `{run_id}`");
    let events = machine.requests.list("GetExecutionHistory", asked, "events").await.with_context(reading)?;
    let history = History::read(&events);
    let shards = match &history.map_run {
        Some(map_run) => Some(shards(machine, map_run).await.with_context(reading)?),
        None => None,
    };
    let output: Value =
        execution["output"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut text = |key: &str| match execution[key].take() {
        Value::String(text) => Some(text),
        _ => None,
    };
    let (status, error, cause) = (text("status").unwrap_or_default(), text("error"), text("cause"));
    Ok(Status {
        pipeline_run_id: run_id.to_owned(),
        execution_arn,
        status,
        findings: output["status"] == "findings",
        started_at: moment(&execution["startDate"]),
        ended_at: moment(&execution["stopDate"]),
        error,
        cause,
        stages: history.stages,
        shards,
    })
}

async fn shards(machine: &StateMachine, map_run: &str) -> Result<Shards, AwsFault> {
    let described = machine.requests.repeat("DescribeMapRun", &json!({ "mapRunArn": map_run })).await?;
    let count = |key: &str| described["itemCounts"][key].as_u64().unwrap_or_default();
    let mut shards = Shards {
        total: count("total"),
        succeeded: count("succeeded"),
        failed: count("failed") + count("timedOut") + count("aborted"),
        running: count("running"),
        failures: Vec::new(),
        untold: None,
    };
    if shards.failed == 0 {
        return Ok(shards);
    }
    let asked = json!({ "mapRunArn": map_run, "statusFilter": "FAILED", "maxResults": TOLD_SHARDS });
    let page = match machine.requests.repeat("ListExecutions", &asked).await {
        Ok(page) => page,
        // The counts are worth telling without them.
        Err(fault) => {
            shards.untold = Some(fault.to_string());
            return Ok(shards);
        }
    };
    for execution in page["executions"].as_array().into_iter().flatten() {
        let asked = json!({ "executionArn": execution["executionArn"] });
        let described = machine.requests.repeat("DescribeExecution", &asked).await?;
        shards.failures.push(failed_shard(&described));
    }
    shards.failures.sort_by(|one, other| one.shard.len().cmp(&other.shard.len()).then(one.shard.cmp(&other.shard)));
    Ok(shards)
}

fn failed_shard(execution: &Value) -> FailedShard {
    let text = |key: &str| execution[key].as_str().unwrap_or_default();
    let input: Value = serde_json::from_str(text("input")).unwrap_or_default();
    let cause = match (text("error"), text("cause")) {
        ("States.TaskFailed", cause) => told(cause),
        (error, "") => error.to_owned(),
        (error, cause) => format!("{error}: {}", told(cause)),
    };
    FailedShard {
        shard: input["shard"].as_str().unwrap_or("unknown").to_owned(),
        execution_arn: text("executionArn").to_owned(),
        cause,
    }
}

/// A moment for people and programs, to the second.
fn moment(value: &Value) -> Option<String> {
    let at = DateTime::<Utc>::from_timestamp(seconds(value)? as i64, 0)?;
    Some(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// Prints a run, and turns its end into the program's.
fn tell(global: &Global, status: &Status) -> Result<Outcome> {
    if global.format == Format::Json {
        output::print_json(status)?;
    } else {
        output::print(&text(status))?;
    }
    match status.status.as_str() {
        "SUCCEEDED" if status.findings => Ok(Outcome::Findings),
        "SUCCEEDED" => Ok(Outcome::Done),
        _ if status.is_running() => Ok(Outcome::Done),
        ended => bail!(
            "run `{}` ended as {ended}{}",
            status.pipeline_run_id,
            status.cause.as_ref().or(status.error.as_ref()).map_or(String::new(), |cause| format!(": {cause}"))
        ),
    }
}

fn text(status: &Status) -> String {
    let findings = if status.findings { ", with findings" } else { "" };
    let mut text = format!("run {}: {}{findings}\n", status.pipeline_run_id, status.status);
    let rows: Vec<_> = status
        .stages
        .iter()
        .map(|stage| {
            let word = match stage.status {
                StageStatus::Running => "running",
                StageStatus::Done => "done",
                StageStatus::Findings => "findings",
                StageStatus::Failed => "FAILED",
            };
            let attempts = if stage.attempts == 0 { String::new() } else { stage.attempts.to_string() };
            vec![stage.state.clone(), word.into(), attempts, format!("{:.0}", stage.seconds)]
        })
        .collect();
    if !rows.is_empty() {
        text += &output::columns(&["stage", "status", "attempts", "seconds"], &rows);
    }
    if let Some(shards) = &status.shards {
        text += &format!(
            "shards: {} of {} done, {} running, {} failed\n",
            shards.succeeded, shards.total, shards.running, shards.failed
        );
        if let Some(why) = &shards.untold {
            text += &format!("which shards failed is not known: {why}\n");
        }
        for failure in &shards.failures {
            text += &format!("failed: shard {}: {}\n", failure.shard, failure.cause);
        }
    }
    for stage in status.stages.iter().filter(|stage| stage.status == StageStatus::Failed) {
        text += &format!("failed: {}: {}\n", stage.state, stage.cause.as_deref().unwrap_or("the run ended"));
    }
    text
}
