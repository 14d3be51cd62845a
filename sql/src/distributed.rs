//! Builds models on a distributed engine: the same files, each table in one statement, which is one commit.
//!
//! What the embedded engine keeps in the summary of a snapshot cannot be written there, so that a table is built again
//! whenever it is asked for, unless rows of it bear this run's id. An incremental model is computed from all of its input,
//! and only the rows that differ are written.

use std::collections::BTreeSet;

use crate::definition::{LINEAGE_COLUMNS, Materialization};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::materialize::{Built, Options};
use crate::project::{Model, Project};
use crate::row_lineage::Writing;
use crate::run::{ModelOutcome, Outcome, run_by};
use crate::selection::Selection;
use crate::statement;

/// What Trino says when its catalog keeps no views: of itself, and of a REST catalog that does not answer.
const NO_VIEWS: [&str; 2] = ["NOT_SUPPORTED", "does not support endpoint"];

/// Builds the models that are meant; a model that fails is part of the outcome, not an error.
///
/// # Errors
/// An unknown selector, or an engine that cannot be asked.
pub async fn run_on(
    engine: &Engine,
    project: &Project,
    options: &Options,
    progress: &(dyn Fn(&ModelOutcome) + Sync),
) -> Result<Outcome> {
    let selection = Selection { select: options.select.clone(), exclude: options.exclude.clone() };
    make_namespaces(engine, &project.select(&selection)?).await?;
    let build = async |model: &Model| build(engine, project, model, options).await;
    run_by(project, options, progress, &build).await
}

async fn make_namespaces(engine: &Engine, meant: &[&str]) -> Result<()> {
    let there = engine.run("select schema_name from information_schema.schemata").await?;
    let there: BTreeSet<_> = there.rows.iter().filter_map(|row| row.first()?.as_deref()).collect();
    let wanted: BTreeSet<_> = meant.iter().filter_map(|name| Some(name.split_once('.')?.0)).collect();
    for namespace in wanted.difference(&there) {
        engine.run(&format!("create schema if not exists {namespace}")).await?;
    }
    Ok(())
}

async fn build(engine: &Engine, project: &Project, model: &Model, options: &Options) -> Result<Built> {
    if model.materialization == Materialization::View {
        return build_view(engine, model).await;
    }
    let writing = Writing { run_id: &options.run_id, started_at: options.started_at };
    let table = statement::quoted(model);
    let standing = columns(engine, model).await?;
    let mut message = None;
    if standing.is_empty() {
        let properties = properties(engine, model, &options.run_id)?;
        engine.run(&statement::create(project, model, &writing, &properties)?).await?;
    } else if is_of_run(engine, &table, &options.run_id).await? {
        message = Some("built by this run before".to_owned());
    } else {
        check_columns(model, &standing)?;
        let only_changes = model.materialization == Materialization::Incremental && !options.full_refresh;
        engine.run(&statement::merge(project, model, &writing, only_changes)?).await?;
    }
    let counted = engine.run(&format!("select count(*) from {table}")).await?;
    Ok(Built { row_count: counted.value().and_then(|count| count.parse().ok()), message })
}

async fn build_view(engine: &Engine, model: &Model) -> Result<Built> {
    match engine.run(&statement::view(model)).await {
        Err(Error::Engine { reason, .. }) if NO_VIEWS.iter().any(|said| reason.contains(said)) => {
            let message = "the catalog keeps no views; what reads it is built all the same".to_owned();
            Ok(Built { row_count: None, message: Some(message) })
        }
        made => made.map(|_| Built { row_count: None, message: None }),
    }
}

/// The columns of a model's table as it stands; none when there is no such table.
async fn columns(engine: &Engine, model: &Model) -> Result<BTreeSet<String>> {
    let (namespace, table) = model.name.split_once('.').unwrap_or(("public", &model.name));
    let asked = format!(
        "select column_name from information_schema.columns where table_schema = {} and table_name = {}",
        statement::text(namespace),
        statement::text(table)
    );
    let found = engine.run(&asked).await?;
    Ok(found.rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

fn check_columns(model: &Model, standing: &BTreeSet<String>) -> Result<()> {
    let declared = model.definition.columns.iter().map(|column| column.name.as_str());
    let wanted: BTreeSet<_> = declared.chain(LINEAGE_COLUMNS).map(str::to_owned).collect();
    if wanted == *standing {
        return Ok(());
    }
    let other: Vec<_> = wanted.symmetric_difference(standing).map(|column| format!("`{column}`")).collect();
    Err(Error::Query(format!(
        "table `{}` and the model differ in {}\nhint: build it once with the program's own engine, which changes \
         columns, or drop the table",
        model.name,
        other.join(", ")
    )))
}

/// Says whether rows of the table bear the run's id: each build is one commit.
async fn is_of_run(engine: &Engine, table: &str, run_id: &str) -> Result<bool> {
    let [of_run, ..] = LINEAGE_COLUMNS;
    let asked = format!("select count(*) from {table} where {of_run} = {}", statement::text(run_id));
    let found = engine.run(&asked).await?;
    Ok(found.value().is_some_and(|count| count != "0"))
}

/// What the engine has to be told to make an Iceberg table where the lake is.
fn properties(engine: &Engine, model: &Model, run_id: &str) -> Result<String> {
    let Engine::Athena(athena) = engine else { return Ok(String::new()) };
    if athena.warehouse.is_empty() {
        let hint = "`--lake s3://bucket/prefix` says where the lake is";
        return Err(Error::Query(format!("Athena makes tables in S3 only\nhint: {hint}")));
    }
    // A folder that holds anything, as one of a table that was dropped may, is refused.
    let folder = format!("{}/{}/{}", athena.warehouse, model.name.replacen('.', "/", 1), run_id.replace(':', "-"));
    Ok(format!(
        "with (table_type = 'ICEBERG', is_external = false, format = 'PARQUET', location = {})",
        statement::text(&format!("{folder}/"))
    ))
}
