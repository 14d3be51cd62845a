//! `healthlake sql`: builds, tests, lists and explains the SQL models.

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use lake::Lake;
use model::quality::{CheckResult, Status};
use sql::{Engine, Input, Materialization, ModelOutcome, ModelStatus, Project, Shown};

use crate::call::{Outcome, Run, existing_lake};
use crate::config::Config;
use crate::engine::EngineName;
use crate::global::{Format, Global};
use crate::{output, progress};

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build models in the order of their graph
    #[command(after_help = SELECTORS)]
    Run {
        #[command(flatten)]
        selection: Selection,
        /// Who builds them: the program itself, or what [athena] and [trino] of the settings say
        #[arg(long, value_enum, default_value_t = EngineName::Datafusion)]
        engine: EngineName,
    },
    /// Run the tests that the models declare
    #[command(after_help = SELECTORS, mut_arg("full_refresh", |full_refresh| full_refresh.hide(true)))]
    Test(Selection),
    /// List models with their materialisation and what they are for
    #[command(after_help = SELECTORS, mut_arg("full_refresh", |full_refresh| full_refresh.hide(true)))]
    List(Selection),
    /// Show one model: SQL, columns, tests, neighbours, column lineage
    Show {
        /// namespace.table, or the table alone where it is unique
        model: String,
    },
}

const SELECTORS: &str = "\
Models are named as dbt users do:
  marts.visit_summary, visit_*      the model; * stands for anything
  +visit_summary, 1+visit_summary   with all that it reads, or with one step of it
  visit_summary+, visit_summary+1   with all that reads it, or with one step of it
  @visit_summary                    with all that reads it, and all that these read
  tag:…, path:marts, source:omop.person
                                    the models with a tag, of a folder, that read a table";

/// Which models; none given is all.
#[derive(Args, Default)]
pub struct Selection {
    /// Models [default: all]
    #[arg(value_name = "SELECT")]
    select: Vec<String>,
    /// Models to leave out, in the same words
    #[arg(long, value_name = "SELECT")]
    exclude: Vec<String>,
    /// Build anew, from all their input, also models that are incremental or unchanged
    #[arg(long)]
    full_refresh: bool,
}

impl Selection {
    fn models(&self) -> sql::Selection {
        sql::Selection { select: self.select.clone(), exclude: self.exclude.clone() }
    }
}

pub async fn run(global: &Global, config: Config, arguments: Arguments) -> Result<Outcome> {
    match arguments.command {
        Command::Run { selection, engine } => {
            let run = Run::from_environment()?;
            let project = config.project()?;
            let outcome = match engine.open(&config)? {
                Some(engine) => build_on(&engine, &config, &project, &run, selection).await?,
                None => build(&existing_lake(&config).await?, &config, &project, &run, selection).await?,
            };
            if global.format == Format::Json {
                output::print_json(&outcome)?;
            } else {
                output::print(&(models_table(&outcome) + &failures(&outcome)))?;
            }
            Ok(if failed(&outcome) > 0 { Outcome::Findings } else { Outcome::Done })
        }
        Command::Test(selection) => test(global, &config, &selection).await,
        Command::List(selection) => {
            let models = config.project()?.list(&selection.models())?;
            if global.format == Format::Json {
                output::print_json(&models)?;
            } else {
                let rows: Vec<_> = models
                    .iter()
                    .map(|model| vec![model.name.clone(), word(model.materialization).into(), model.summary.clone()])
                    .collect();
                output::print(&output::listing(&["model", "as", "one line"], &rows))?;
            }
            Ok(Outcome::Done)
        }
        Command::Show { model } => {
            let description = config.project()?.show(&model)?;
            if global.format == Format::Json {
                output::print_json(&description)?;
            } else {
                output::print(&describe(&description))?;
            }
            Ok(Outcome::Done)
        }
    }
}

/// Builds the selected models with the program's own engine.
pub async fn build(
    lake: &Lake,
    config: &Config,
    project: &Project,
    run: &Run,
    selection: Selection,
) -> Result<sql::Outcome> {
    let bar = progress::count("sql", project.list(&selection.models())?.len() as u64);
    let outcome = sql::run(lake, project, &options(config, run, selection), &|model| advance(&bar, model)).await;
    bar.finish_and_clear();
    outcome.context("cannot build the models")
}

/// Builds the selected models on a distributed engine.
async fn build_on(
    engine: &Engine,
    config: &Config,
    project: &Project,
    run: &Run,
    selection: Selection,
) -> Result<sql::Outcome> {
    let bar = progress::count("sql", project.list(&selection.models())?.len() as u64);
    let outcome = sql::run_on(engine, project, &options(config, run, selection), &|model| advance(&bar, model)).await;
    bar.finish_and_clear();
    outcome.context("cannot build the models")
}

fn options(config: &Config, run: &Run, selection: Selection) -> sql::Options {
    sql::Options {
        run_id: run.id.clone(),
        started_at: run.started_at,
        select: selection.select,
        exclude: selection.exclude,
        full_refresh: selection.full_refresh,
        threads: config.threads(),
    }
}

fn advance(bar: &ProgressBar, model: &ModelOutcome) {
    bar.set_message(model.name.clone());
    bar.inc(1);
}

async fn test(global: &Global, config: &Config, selection: &Selection) -> Result<Outcome> {
    let lake = existing_lake(config).await?;
    let project = config.project()?;
    let models = project.list(&selection.models())?;
    let mut checks = project.checks();
    checks.retain(|check| models.iter().any(|model| model.name == check.table));
    let results = validator::answer(&lake, checks, config.threads()).await?;
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

/// How many models could not be built.
pub fn failed(outcome: &sql::Outcome) -> usize {
    outcome.count(ModelStatus::Failed) + outcome.count(ModelStatus::Skipped)
}

fn word(materialization: Materialization) -> &'static str {
    match materialization {
        Materialization::View => "view",
        Materialization::Table => "table",
        Materialization::Incremental => "incremental",
        Materialization::Seed => "seed",
    }
}

/// A model for people: what it is, its columns with their origins, its neighbours, its SQL.
fn describe(model: &Shown) -> String {
    let list = |items: &mut dyn Iterator<Item = &String>| items.cloned().collect::<Vec<_>>().join(", ");
    let mut text =
        format!("{} ({}, {})\n{}\n\n", model.name, word(model.materialization), model.file, model.description);
    text += &format!("one row per  {}\n", list(&mut model.grain.iter()));
    text += &format!(
        "reads        {}\nread by      {}\n\n",
        list(&mut model.reads.iter()),
        list(&mut model.read_by.iter())
    );
    let rows: Vec<_> = model
        .columns
        .iter()
        .map(|column| vec![column.name.clone(), column.data_type.to_string(), list(&mut column.origins.iter())])
        .collect();
    text += &output::listing(&["column", "type", "comes from"], &rows);
    if let Some(note) = &model.lineage_note {
        text += &format!("  column lineage is not known: {note}\n");
    }
    let place = |input: &Input| format!("{}.{}", input.table, input.column);
    let deciding: Vec<_> = model.rows.iter().map(place).collect();
    if !deciding.is_empty() {
        text += &format!("\nrows depend on {}\n", deciding.join(", "));
    }
    text += &format!("\ntests\n{}\n", model.checks.iter().map(|check| format!("  {check}\n")).collect::<String>());
    text + model.text.trim_end() + "\n"
}

/// One line per model that failed or was skipped because of it.
pub fn failures(outcome: &sql::Outcome) -> String {
    let unbuilt = outcome.models.iter().filter(|model| model.status == ModelStatus::Failed);
    unbuilt
        .map(|model| format!("failed: {}: {}\n", model.name, model.message.as_deref().unwrap_or("no reason given")))
        .collect()
}
