//! `healthlake sql`: builds, tests, lists and explains the SQL models.

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use lake::Lake;
use model::quality::{CheckResult, Status};
use sql::ModelStatus;

use super::{Format, Global, Outcome, Run};
use crate::config::Config;
use crate::{output, progress};

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build models in the order of their graph
    Run(Selection),
    /// Run the tests that the models declare
    Test(Selection),
    /// List models with their materialisation and what they read
    List(Selection),
    /// Show one model: SQL, columns, tests, neighbours, column lineage
    Show {
        /// namespace.table, or the table alone where it is unique
        model: String,
    },
}

/// Which models; none given is all.
#[derive(Args, Default)]
pub struct Selection {
    /// Models: name, +name, name+, 2+name+1, @name, tag:…, path:…
    #[arg(value_name = "SELECT")]
    select: Vec<String>,
    /// Models to leave out, in the same words
    #[arg(long, value_name = "SELECT")]
    exclude: Vec<String>,
    /// Build incremental models anew from all their input
    #[arg(long)]
    full_refresh: bool,
}

pub async fn run(global: &Global, config: Config, arguments: Arguments) -> Result<Outcome> {
    match arguments.command {
        Command::Run(selection) => {
            let lake = super::existing_lake(&config).await?;
            let run = Run::from_environment()?;
            let outcome = build(&lake, &config, &run, selection).await?;
            if global.format == Format::Json {
                output::print_json(&outcome)?;
            } else {
                output::print(&(models_table(&outcome) + &failures(&outcome)))?;
            }
            Ok(if outcome.failed() > 0 { Outcome::Findings } else { Outcome::Done })
        }
        Command::Test(selection) => test(global, &config, &selection).await,
        Command::List(selection) => {
            let models = config.project()?.list(&selection.select, &selection.exclude)?;
            if global.format == Format::Json {
                output::print_json(&models)?;
            } else {
                let rows: Vec<_> = models
                    .iter()
                    .map(|model| vec![model.name.clone(), model.materialization.to_string(), model.reads.join(" ")])
                    .collect();
                output::print(&output::columns(&["model", "as", "reads"], &rows))?;
            }
            Ok(Outcome::Done)
        }
        Command::Show { model } => {
            let description = config.project()?.show(&model)?;
            if global.format == Format::Json {
                output::print_json(&description)?;
            } else {
                output::print(&description.to_string())?;
            }
            Ok(Outcome::Done)
        }
    }
}

/// Builds the selected models.
pub async fn build(lake: &Lake, config: &Config, run: &Run, selection: Selection) -> Result<sql::Outcome> {
    let project = config.project()?;
    let models = project.list(&selection.select, &selection.exclude)?;
    let options = sql::Options {
        run_id: run.id.clone(),
        started_at: run.started_at,
        select: selection.select,
        exclude: selection.exclude,
        full_refresh: selection.full_refresh,
        threads: config.threads(),
    };
    let bar = progress::count("sql", models.len() as u64);
    let outcome = sql::run(lake, &project, &options, &|model| {
        bar.set_message(model.name.clone());
        bar.inc(1);
    })
    .await;
    bar.finish_and_clear();
    outcome.context("cannot build the models")
}

async fn test(global: &Global, config: &Config, selection: &Selection) -> Result<Outcome> {
    let lake = super::existing_lake(config).await?;
    let project = config.project()?;
    let models = project.list(&selection.select, &selection.exclude)?;
    let mut checks = project.checks();
    checks.retain(|check| models.iter().any(|model| model.name == check.table));
    let results = validator::check(&lake, checks, config.threads()).await?;
    if global.format == Format::Json {
        output::print_json(&results)?;
    } else {
        let rows: Vec<_> = results.iter().map(result_row).collect();
        output::print(&output::columns(&["test", "status", "rows", "violations"], &rows))?;
    }
    Ok(if results.iter().any(CheckResult::fails_run) { Outcome::Findings } else { Outcome::Done })
}

fn result_row(result: &CheckResult) -> Vec<String> {
    let status = match result.status {
        Status::Passed => "passed",
        Status::Failed => "FAILED",
        Status::Errored => "ERROR",
        Status::NotApplicable => "no rows",
    };
    let counts = [result.row_count, result.violation_count].map(output::number);
    [result.check.id.clone(), status.into()].into_iter().chain(counts).collect()
}

fn models_table(outcome: &sql::Outcome) -> String {
    let rows: Vec<_> = outcome
        .models
        .iter()
        .map(|model| {
            let status = match model.status {
                ModelStatus::Built => "built",
                ModelStatus::Skipped => "skipped",
                ModelStatus::Failed => "FAILED",
            };
            let rows = model.row_count.map_or(String::new(), output::number);
            vec![model.name.clone(), status.into(), rows, format!("{:.2}", model.seconds)]
        })
        .collect();
    output::columns(&["model", "status", "rows", "seconds"], &rows)
}

/// One line per model that failed or was skipped because of it.
pub fn failures(outcome: &sql::Outcome) -> String {
    let unbuilt = outcome.models.iter().filter(|model| model.status == ModelStatus::Failed);
    unbuilt
        .map(|model| format!("failed: {}: {}\n", model.name, model.message.as_deref().unwrap_or("no reason given")))
        .collect()
}
